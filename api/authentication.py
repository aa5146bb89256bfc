"""Who calls, and whether they may: `Authorization: Bearer <key>` of a program, the cookie of a person who signed in;
held against the table of `api/access.py`."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, FastAPI, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.access import Access, access_to, permits
from api.own_pages import SAFE, address_of, check_origin, check_token
from api.problems import ProblemError
from api.services import Services, Serving
from config.session_cookies import token_hash
from schemas.access import Person, Scope
from storage.api_keys import ApiKey

_bearer = HTTPBearer(
    auto_error=False, description="An API key: printed at the first start, or `agent key add NAME --scope …`"
)

Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]

_LONGEST_KEY = 200
_PAGES = "/dashboard/"
_LOGIN = "/dashboard/login"


async def admit(request: Request, services: Serving, credentials: Credentials) -> ApiKey | None:
    """The key that a call came with, None of a call that needs none; a person is in the request's state. Raises 401,
    and 403 where they may not."""
    access = access_to(request.method, request.scope["route"].path)
    if access is None:
        raise ProblemError(403, "Nobody may call this.")
    if access.people:
        request.state.person = await _person(request, services)
    elif request.url.path.startswith(_PAGES):
        check_origin(request, address_of(request, services.settings.public_url))
    return None if access.key is None else await _key_with(access.key, services, credentials)


async def _person(request: Request, services: Services) -> Person:
    """Who is signed in. Raises 401, or leads a browser to the form; and 403 for what no page of ours asks for."""
    address = address_of(request, services.settings.public_url)
    token = services.cookies.token(request.cookies.get(services.cookies.name(address), ""))
    found = await services.user_sessions.find(token_hash(token)) if token else None
    if token is None or found is None:
        raise _sign_in_first(request)
    form_token = services.cookies.csrf(token)
    check_origin(request, address)
    await check_token(request, form_token)
    return Person(found.id, found.user_id, found.email, found.name, form_token)


def _sign_in_first(request: Request) -> ProblemError:
    if request.method in SAFE and "text/html" in request.headers.get("accept", ""):
        back = quote(request.url.path + (f"?{request.url.query}" if request.url.query else ""))
        return ProblemError(303, "Sign in first.", headers={"Location": f"{_LOGIN}?next={back}", "Vary": "Accept"})
    return ProblemError(401, f"Sign in first, at {_LOGIN}.")


async def _key_with(needed: Scope, services: Services, credentials: HTTPAuthorizationCredentials | None) -> ApiKey:
    key = credentials.credentials if credentials else ""
    found = await services.known_keys.find(key) if key.isascii() and 0 < len(key) <= _LONGEST_KEY else None
    if found is None:
        raise ProblemError(
            401, "Send a valid API key: Authorization: Bearer <key>.", headers={"WWW-Authenticate": "Bearer"}
        )
    if not permits(found.scopes, needed):
        raise ProblemError(403, f"This API key lacks the scope `{needed}`: use one that has it (`agent key add`).")
    return found


async def _caller(admitted: Annotated[ApiKey | None, Depends(admit)]) -> ApiKey:
    assert admitted is not None  # its row in the table names a scope
    return admitted


Caller = Annotated[ApiKey, Depends(_caller)]
"""Of a route that needs a key; looked up once a call."""


def describe_access(app: FastAPI) -> None:
    """Each call in the OpenAPI document says which scope it needs, in words and as its security requirement."""
    made = app.openapi

    def described() -> dict[str, object]:
        if app.openapi_schema is None:
            for path, calls in made()["paths"].items():
                for method, call in calls.items():
                    _describe(call, access_to(method.upper(), path))
        return app.openapi_schema or made()

    app.openapi = described  # type: ignore[method-assign]


def _describe(call: dict[str, object], access: Access | None) -> None:
    if access is None or access.key is None:
        call.pop("security", None)
        return
    call["security"] = [{"HTTPBearer": [access.key]}]
    or_admin = "" if access.key is Scope.ADMIN else f" or `{Scope.ADMIN}`"
    call["description"] = f"{call.get('description', '')}\n\nNeeds a key with the scope `{access.key}`{or_admin}."
