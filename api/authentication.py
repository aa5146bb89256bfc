"""Who calls, and whether they may: `Authorization: Bearer <key>` of a program, the cookie of a person who signed in;
held against the table of `api/access.py`."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, FastAPI, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.access import Access, People, access_to, permits
from api.own_pages import SAFE, address_of, check_origin, check_token
from api.problems import ProblemError
from api.services import Services, Serving
from api.whose import whose_conversation
from config.exposure import is_exposed
from config.session_cookies import token_hash
from schemas.access import Person, Right, Role, Scope, Whose
from storage.api_keys import ApiKey
from storage.database import StorageUnavailable
from storage.user_sessions import SignedIn

_bearer = HTTPBearer(
    auto_error=False, description="An API key: printed at the first start, or `agent key add NAME --scope …`"
)

Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]

_LONGEST_KEY = 200
_PAGES = ("/dashboard/", "/phone")
_LOGIN = "/dashboard/login"


@dataclass(frozen=True)
class Admitted:
    """Who may call, and how far: `by` None of a call that is open to anybody."""

    by: ApiKey | Person | None
    right: Right = Right.YES


async def admit(request: Request, services: Serving, credentials: Credentials) -> Admitted:
    """Who calls; pages find the person, and their right, in the request's state. Raises 401, and 403 where they may
    not."""
    access = access_to(request.method, request.scope["route"].path)
    if access is None:
        raise ProblemError(403, "Nobody may call this.")
    if access.key is None and access.people is None:
        if access.inside and not await is_inside(request, services, credentials):
            raise _nobody(request, access)
        if request.url.path.startswith(_PAGES):
            check_origin(request, address_of(request, services.settings.public_url))
        return Admitted(None)
    if access.key is not None and (credentials or access.people is None):
        return Admitted(await _key_with(access.key, services, credentials))
    assert access.people is not None
    person = await _person(request, services)
    if person is None:
        raise _nobody(request, access)
    admitted = Admitted(person, await _right_of(person, access.people, request, services))
    request.state.person, request.state.right = person, admitted.right
    return admitted


async def is_inside(request: Request, services: Serving, credentials: Credentials) -> bool:
    """Whether a caller may see what is open on a machine of one's own. While the database is unavailable nobody but
    METRICS_TOKEN can say so of itself."""
    if not is_exposed(services.settings):
        return True
    token, given = services.settings.metrics_token, credentials.credentials if credentials else ""
    if token and hmac.compare_digest(given.encode(), token.get_secret_value().encode()):
        return True
    try:
        if credentials:
            return await _key(services, credentials) is not None
        return await _session(request, services) is not None
    except StorageUnavailable:
        return False


Inside = Annotated[bool, Depends(is_inside)]


async def _key(services: Services, credentials: HTTPAuthorizationCredentials | None) -> ApiKey | None:
    key = credentials.credentials if credentials else ""
    return await services.known_keys.find(key) if key.isascii() and 0 < len(key) <= _LONGEST_KEY else None


async def _key_with(needed: Scope, services: Services, credentials: HTTPAuthorizationCredentials | None) -> ApiKey:
    found = await _key(services, credentials)
    if found is None:
        raise _no_key()
    if not permits(found.scopes, needed):
        raise ProblemError(403, f"This API key lacks the scope `{needed}`: use one that has it (`agent key add`).")
    return found


async def _person(request: Request, services: Services) -> Person | None:
    """Who is signed in. Raises 403 for what no page of ours asks for."""
    session = await _session(request, services)
    if session is None:
        return None
    token, found = session
    form_token = services.cookies.csrf(token)
    check_origin(request, address_of(request, services.settings.public_url))
    await check_token(request, form_token)
    return Person(found.id, found.user_id, found.email, found.name, found.role, found.teams, form_token)


async def _session(request: Request, services: Services) -> tuple[str, SignedIn] | None:
    """The token that a browser came with, and the session in force that it is."""
    address = address_of(request, services.settings.public_url)
    token = services.cookies.token(request.cookies.get(services.cookies.name(address), ""))
    found = await services.user_sessions.find(token_hash(token)) if token else None
    return (token, found) if token and found else None


async def _right_of(person: Person, people: People, request: Request, services: Services) -> Right:
    """Raises 403 where they have none."""
    whose = Whose.NONE
    if people.asks_whose and person.role is Role.AGENT:
        whose = await whose_conversation(person, request, services)
    right = people.may(person.role, whose)
    if right is Right.NO:
        raise ProblemError(403, _told(person.role, whose))
    return right


def _told(role: Role, whose: Whose) -> str:
    if whose is Whose.OTHER:
        return "This conversation is another team's: take it first (state `human_handoff`)."
    return f"Your role is {role}, which may not do that; ask an administrator."


def _nobody(request: Request, access: Access) -> ProblemError:
    if access.key is not None:
        return _no_key()
    if request.method in SAFE and "text/html" in request.headers.get("accept", ""):
        back = quote(request.url.path + (f"?{request.url.query}" if request.url.query else ""))
        return ProblemError(303, "Sign in first.", headers={"Location": f"{_LOGIN}?next={back}", "Vary": "Accept"})
    or_key = ", or send an API key or METRICS_TOKEN: Authorization: Bearer <key>" if access.inside else ""
    headers = {"WWW-Authenticate": "Bearer"} if access.inside else None
    return ProblemError(401, f"Sign in first, at {_LOGIN}{or_key}.", headers=headers)


def _no_key() -> ProblemError:
    told = "Send a valid API key: Authorization: Bearer <key>."
    return ProblemError(401, told, headers={"WWW-Authenticate": "Bearer"})


Admission = Annotated[Admitted, Depends(admit)]
"""Looked up once a call."""


async def _caller(admitted: Admission) -> ApiKey | Person:
    assert admitted.by is not None  # its row in the table is not open
    return admitted.by


Caller = Annotated[ApiKey | Person, Depends(_caller)]
"""Of a route that is not open to anybody."""


def name_of(caller: ApiKey | Person, named: str) -> str:
    """Who speaks: a program says it of its people, a person is who they are."""
    return (caller.email or caller.shown) if isinstance(caller, Person) else named


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
