"""Which methods an address takes, for whoever has to know before a route is entered, or after none was."""

from __future__ import annotations

from starlette.routing import Match
from starlette.types import Scope

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


def is_a_call(scope: Scope) -> bool:
    """Whether a route takes this method at this address. Else the app, where there is one, says so, whatever the
    body is."""
    return "app" not in scope or _takes(scope, scope["method"])


def methods_at(scope: Scope) -> list[str]:
    """What may be done at this address; routes of one address stand apart by their methods."""
    return [method for method in _METHODS if _takes(scope, "GET" if method == "HEAD" else method)]


def _takes(scope: Scope, method: str) -> bool:
    asked = {**scope, "method": method}
    return any(route.matches(asked)[0] is Match.FULL for route in scope["app"].router.routes)
