"""Who may do what, in words that callers, the database and the routes share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class Scope(StrEnum):
    """What an API key permits. `api/access.py` says which call needs which."""

    MESSAGE = "message"  #: a customer's messages: /api/message and /api/query_async
    SESSION = "session"  #: conversations: /api/session/…, /api/tickets, /api/deliveries
    ADMIN = "admin"  #: every call under /api
    VOUCH = "vouch"  #: no call of its own: to say of a customer that they are who they say (`verified: true`)


FIRST_SCOPES = (Scope.MESSAGE, Scope.SESSION, Scope.ADMIN)
"""Those of API_KEY. Whoever vouches for customers has a key of their own for it."""


class Role(StrEnum):
    """What a person who is signed in may do."""

    VIEWER = "viewer"  #: reads everything but raw outputs and prompts
    AGENT = "agent"  #: reads everything; acts on conversations of their own teams or of none, takes another team's
    ADMIN = "admin"  #: everything


class Whose(StrEnum):
    """Whose conversation it is, as somebody of a team sees it. A team with nobody in it is none."""

    OWN = "own team"  #: called to a team of theirs, or taken by themselves
    OTHER = "other"
    NONE = "none"


class Right(StrEnum):
    """What a route lets somebody do."""

    NO = "no"
    VEILED = "without raw outputs"  #: reads it, without raw outputs and prompts
    TAKE = "take"  #: of all it can do, only to take the conversation, which is noted
    YES = "yes"


@dataclass(frozen=True)
class Person:
    """Who is signed in. Without a user they came by the start's link. *form_token* stands in each form of theirs."""

    session_id: UUID
    user_id: UUID | None
    email: str | None
    name: str
    role: Role
    teams: tuple[str, ...]
    form_token: str

    @property
    def who(self) -> str:
        """As entries of the audit name them."""
        return f"user {self.email}" if self.email else BY_THE_LINK

    @property
    def shown(self) -> str:
        return self.name or self.email or "the one who started it"


BY_THE_LINK = "whoever opened the start's link"
