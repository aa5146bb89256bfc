"""The one table of who may call what. A route without a row is closed to everybody, and fails a test.

`api/authentication.py` finds out who calls and asks this table, for every route that the application has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.access import Scope


@dataclass(frozen=True)
class Access:
    """Who may call one route. *key*: the scope that a key needs (`admin` has all of them). *people*: whoever is signed
    in. Neither: anybody, for it proves itself otherwise, or tells nothing."""

    key: Scope | None = None
    people: bool = False


_OPEN = Access()
_SIGNED_IN = Access(people=True)
_MESSAGE, _SESSION, _ADMIN = (Access(scope) for scope in (Scope.MESSAGE, Scope.SESSION, Scope.ADMIN))

ACCESS: Mapping[tuple[str, str], Access] = {
    ("POST", "/api/message"): _MESSAGE,
    ("POST", "/api/query_async"): _MESSAGE,
    ("GET", "/api/session/{customer_id}"): _SESSION,
    ("GET", "/api/session/{customer_id}/thread"): _SESSION,
    ("GET", "/api/session/{customer_id}/turns"): _SESSION,
    ("GET", "/api/session/{customer_id}/transitions"): _SESSION,
    ("POST", "/api/session/{customer_id}/reset"): _SESSION,
    ("POST", "/api/session/{customer_id}/state"): _SESSION,
    ("POST", "/api/session/{customer_id}/messages"): _SESSION,
    ("POST", "/api/session/{customer_id}/approval"): _SESSION,
    ("POST", "/api/session/{customer_id}/questions/{question_id}"): _SESSION,
    ("GET", "/api/deliveries"): _SESSION,
    ("POST", "/api/deliveries/{delivery_id}/resend"): _SESSION,
    ("POST", "/api/actions/simulate"): _ADMIN,
    ("GET", "/api/prompt-pack"): _ADMIN,
    ("GET", "/api/drift"): _ADMIN,
    ("GET", "/api/effects"): _ADMIN,
    ("POST", "/api/effects/{effect_id}/resolve"): _ADMIN,
    # Channels sign what they send.
    ("GET", "/api/webhooks/whatsapp"): _OPEN,
    ("POST", "/api/webhooks/whatsapp"): _OPEN,
    ("POST", "/api/webhooks/twilio"): _OPEN,
    ("GET", "/healthz"): _OPEN,
    ("GET", "/readyz"): _OPEN,
    ("GET", "/metrics"): _OPEN,
    ("GET", "/"): _OPEN,
    # Pages for people.
    ("GET", "/playground"): _OPEN,
    ("GET", "/playground/about"): _OPEN,
    ("GET", "/playground/{name}"): _OPEN,
    ("GET", "/phone"): _OPEN,
    ("POST", "/phone/api/files"): _OPEN,
    ("GET", "/phone/api/{name}"): _OPEN,
    ("POST", "/phone/api/{name}"): _OPEN,
    ("PUT", "/phone/api/{name}"): _OPEN,
    ("GET", "/phone/{name}"): _OPEN,
    ("GET", "/dashboard"): _SIGNED_IN,
    ("GET", "/dashboard/trouble"): _SIGNED_IN,
    ("GET", "/dashboard/conversations/{conversation_id}"): _SIGNED_IN,
    ("GET", "/dashboard/sign-ins"): _SIGNED_IN,
    ("POST", "/dashboard/sign-ins/{session_id}/end"): _SIGNED_IN,
    ("POST", "/dashboard/leave"): _SIGNED_IN,
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
