"""Who may do what, in words that callers, the database and the routes share."""

from __future__ import annotations

from enum import StrEnum


class Scope(StrEnum):
    """What an API key permits. `api/access.py` says which call needs which."""

    MESSAGE = "message"  #: a customer's messages: /api/message and /api/query_async
    SESSION = "session"  #: conversations: /api/session/…, /api/tickets, /api/deliveries
    ADMIN = "admin"  #: every call under /api
    VOUCH = "vouch"  #: no call of its own: to say of a customer that they are who they say (`verified: true`)


FIRST_SCOPES = (Scope.MESSAGE, Scope.SESSION, Scope.ADMIN)
"""Those of API_KEY. Whoever vouches for customers has a key of their own for it."""
