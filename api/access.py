"""The one table of who may call what: route × scope of a key, and × role of a person × whose conversation it is.

A route without a row is closed to everybody, and fails a test; the table itself is a test, row by row
(tests/api/test_access.py). `api/authentication.py` finds out who calls and asks it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.access import Right, Role, Scope, Whose


@dataclass(frozen=True)
class ByTeam:
    """What an agent may do to a conversation of a team of theirs, of another one, of none."""

    own: Right
    other: Right
    none: Right

    def of(self, whose: Whose) -> Right:
        return {Whose.OWN: self.own, Whose.OTHER: self.other, Whose.NONE: self.none}[whose]


_YES = ByTeam(Right.YES, Right.YES, Right.YES)
_NO = ByTeam(Right.NO, Right.NO, Right.NO)
_OURS = ByTeam(own=Right.YES, other=Right.NO, none=Right.YES)
_OURS_OR_TAKE = ByTeam(own=Right.YES, other=Right.TAKE, none=Right.YES)


@dataclass(frozen=True)
class People:
    """What people may who are signed in. An admin may everything."""

    viewer: Right
    agent: ByTeam

    def may(self, role: Role, whose: Whose) -> Right:
        return {Role.VIEWER: self.viewer, Role.AGENT: self.agent.of(whose), Role.ADMIN: Right.YES}[role]

    @property
    def asks_whose(self) -> bool:
        """Whether it matters whose conversation it is."""
        return len({self.agent.own, self.agent.other, self.agent.none}) > 1


_READ = People(Right.YES, _YES)
_READ_RAW = People(Right.VEILED, _YES)
_RAW = People(Right.NO, _YES)
_ACT = People(Right.NO, _OURS)
_ACT_OR_TAKE = People(Right.NO, _OURS_OR_TAKE)
_ADMINS = People(Right.NO, _NO)


@dataclass(frozen=True)
class Access:
    """Who may call one route. *key*: the scope that a key needs (`admin` has all of them); None: no key does. *people*:
    what those may who are signed in; None: nobody. *inside*: anybody on a machine of one's own; where strangers may
    reach us, whoever has a key of any scope or METRICS_TOKEN, or is signed in. None of them: anybody, for it proves
    itself otherwise, or tells nothing."""

    key: Scope | None = None
    people: People | None = None
    inside: bool = False


_OPEN, _INSIDE = Access(), Access(inside=True)
_MESSAGE, _SESSION, _ADMIN = Scope.MESSAGE, Scope.SESSION, Scope.ADMIN

ACCESS: Mapping[tuple[str, str], Access] = {
    # Words in a customer's name.
    ("POST", "/api/message"): Access(_MESSAGE, _ADMINS),
    ("POST", "/api/query_async"): Access(_MESSAGE, _ADMINS),
    ("GET", "/api/session/{customer_id}"): Access(_SESSION, _READ),
    ("GET", "/api/session/{customer_id}/thread"): Access(_SESSION, _READ),
    ("GET", "/api/session/{customer_id}/turns"): Access(_SESSION, _READ_RAW),
    ("GET", "/api/session/{customer_id}/transitions"): Access(_SESSION, _READ),
    ("POST", "/api/session/{customer_id}/reset"): Access(_SESSION, _ACT),
    ("POST", "/api/session/{customer_id}/state"): Access(_SESSION, _ACT_OR_TAKE),
    ("POST", "/api/session/{customer_id}/messages"): Access(_SESSION, _ACT),
    ("POST", "/api/session/{customer_id}/approval"): Access(_SESSION, _ACT),
    ("POST", "/api/session/{customer_id}/questions/{question_id}"): Access(_SESSION, _ACT),
    ("GET", "/api/deliveries"): Access(_SESSION, _READ),
    ("POST", "/api/deliveries/{delivery_id}/resend"): Access(_SESSION, _ACT),
    ("POST", "/api/actions/simulate"): Access(_ADMIN, _RAW),
    ("GET", "/api/prompt-pack"): Access(_ADMIN, _RAW),
    ("GET", "/api/drift"): Access(_ADMIN, _RAW),
    ("GET", "/api/leftovers"): Access(_ADMIN, _READ),
    ("GET", "/api/leftovers/{leftover_id}"): Access(_ADMIN, _READ),
    ("GET", "/api/effects"): Access(_ADMIN, _READ),
    ("POST", "/api/effects/{effect_id}/resolve"): Access(_ADMIN, _ACT),
    # Channels sign what they send.
    ("GET", "/api/webhooks/whatsapp"): _OPEN,
    ("POST", "/api/webhooks/whatsapp"): _OPEN,
    ("POST", "/api/webhooks/twilio"): _OPEN,
    ("GET", "/healthz"): _OPEN,
    ("GET", "/readyz"): _OPEN,  # its details: as inside
    ("GET", "/metrics"): _INSIDE,
    ("GET", "/openapi.json"): _INSIDE,
    ("GET", "/docs"): _INSIDE,
    ("GET", "/"): _OPEN,
    # Pages for people.
    ("GET", "/playground"): _INSIDE,
    ("GET", "/playground/about"): _INSIDE,
    ("GET", "/playground/{name}"): _INSIDE,
    ("GET", "/phone"): _INSIDE,
    ("POST", "/phone/api/files"): _INSIDE,
    ("GET", "/phone/api/{name}"): _INSIDE,
    ("POST", "/phone/api/{name}"): _INSIDE,
    ("PUT", "/phone/api/{name}"): _INSIDE,
    ("GET", "/phone/{name}"): _INSIDE,
    ("GET", "/dashboard"): Access(people=_READ),
    ("GET", "/dashboard/trouble"): Access(people=_READ_RAW),
    ("GET", "/dashboard/conversations/{conversation_id}"): Access(people=_READ_RAW),
    # Their own sessions, whoever they are.
    ("GET", "/dashboard/sign-ins"): Access(people=_READ),
    ("POST", "/dashboard/sign-ins/{session_id}/end"): Access(people=_READ),
    ("POST", "/dashboard/leave"): Access(people=_READ),
    ("GET", "/dashboard/login"): _OPEN,
    ("POST", "/dashboard/login"): _OPEN,
    ("GET", "/dashboard/enter"): _OPEN,
    ("POST", "/dashboard/enter"): _OPEN,
    ("GET", "/dashboard/dashboard.css"): _OPEN,
}


def access_to(method: str, path: str) -> Access | None:
    """The row of a route, by its path as it is declared; None where nobody gave it one."""
    return ACCESS.get((method, path.replace(":path}", "}")))


def permits(scopes: frozenset[Scope], needed: Scope) -> bool:
    """Whether a key with *scopes* may call what needs *needed*."""
    return needed in scopes or (Scope.ADMIN in scopes and needed is not Scope.VOUCH)
