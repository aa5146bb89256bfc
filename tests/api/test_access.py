"""The table of who may call what is whole, and is what happens: each of its rows is tried with each kind of caller,
people by role and by whose conversation it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import pytest

from api.access import ACCESS, Access, access_to
from schemas.access import Right, Role, Scope, Whose
from storage.api_keys import ApiKeys
from tests.incoming import incoming
from tests.signing_in import add_user, signed_in
from tests.system_in_process import System, running_system

_NUMBERED = ("conversation_id", "delivery_id", "effect_id", "leftover_id", "question_id")
_NOWHERE = {
    "customer_id": "nobody",
    "name": "nothing",
    **dict.fromkeys((*_NUMBERED, "session_id"), str(UUID(int=7))),
}
_WRONG = {"no": "call takes this"}
"""So nothing is done: who may call is looked at before what they send."""
_THE_SAME_FOR_ALL = {"/static-offline-docs"}
"""Swagger's files."""

ROWS = [pytest.param(method, path, access, id=f"{method} {path}") for (method, path), access in ACCESS.items()]
GUARDED = [row for row in ROWS if row.values[2].key is not None]
PEOPLES = [row for row in ROWS if row.values[2].people]
PAGES = [row for row in PEOPLES if row.values[2].key is None]


@pytest.fixture(scope="module")
async def of_all(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    """With a key of each scope, a person of each role, and a conversation of each kind for them."""
    phone = {"whatsapp_standin_url": "http://127.0.0.1:9", "whatsapp_graph_url": "http://127.0.0.1:9"}
    async with running_system(postgres_url, temporal_address, worker=False, **phone) as system:
        for scope in Scope:
            await ApiKeys(system.database).add(scope, key_of(scope), scopes=[scope], actor="test")
        for role in Role:
            await add_user(system, f"{role}@example.org", role, ["sales"])
        await add_user(system, "colleague@example.org", Role.AGENT, ["support"])
        for whose, team in {Whose.OWN: "sales", Whose.OTHER: "support", Whose.NONE: None}.items():
            await converse(system, whose, team)
        yield system


async def converse(system: System, customer: str, team: str | None) -> UUID:
    """A conversation with an effect, called to *team*."""
    stored = await system.services.inbox.store(incoming("Hello", 1, customer))
    values = {"id": stored.conversation_id, "team": team}
    await system.database.rows(
        """INSERT INTO effects (key, kind, conversation_id, status)
           VALUES ('test ' || :whose, 'action:test', :id, 'confirmed')""",
        {"id": stored.conversation_id, "whose": customer},
    )
    if team:
        await system.database.rows(
            "INSERT INTO handoffs (conversation_id, team, reason, opened_by) VALUES (:id, :team, '', 'bot')", values
        )
    return stored.conversation_id


def key_of(scope: Scope) -> str:
    return f"a-key-with-the-scope-{scope}"


def routes_of(routes: list[Any]) -> Iterator[tuple[str, str]]:
    for route in routes:
        if hasattr(route, "effective_candidates"):
            yield from routes_of(route.effective_candidates())
        else:
            yield from ((method, route.path) for method in getattr(route, "methods", None) or {"GET"})


async def call(system: System, method: str, path: str, headers: dict[str, str] | None = None) -> Any:
    system.http.headers.pop("Authorization", None)
    body = {} if method == "POST" and path.startswith("/api/") else None
    return await system.http.request(method, path.format(**_NOWHERE), json=body, headers=headers)


async def test_each_route_has_a_row_and_each_row_a_route(of_all: System) -> None:
    app = of_all.app
    found = {
        (method, path) for method, path in routes_of(app.routes) if path not in _THE_SAME_FOR_ALL and method != "HEAD"
    }
    on_any_method = {each for each in found if each[1] == "/"}

    assert {each for each in found - on_any_method if access_to(*each) is None} == set()
    assert set(ACCESS) - found == set()


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize(("method", "path", "access"), GUARDED)
async def test_a_key_permits_what_its_scope_says(
    of_all: System, method: str, path: str, access: Access, scope: Scope
) -> None:
    answer = await call(of_all, method, path, {"Authorization": f"Bearer {key_of(scope)}"})

    permitted = scope in (access.key, Scope.ADMIN)
    assert (answer.status_code == 403) == (not permitted), answer.text
    assert answer.status_code != 401
    assert permitted or f"`{access.key}`" in answer.json()["detail"]


@pytest.mark.parametrize(("method", "path", "access"), GUARDED)
async def test_nobody_calls_without_a_key(of_all: System, method: str, path: str, access: Access) -> None:
    without = await call(of_all, method, path)
    wrong = await call(of_all, method, path, {"Authorization": "Bearer guessed-0123456789"})

    assert [without.status_code, wrong.status_code] == [401, 401]


@pytest.mark.parametrize(("method", "path", "access"), PAGES)
async def test_nobody_sees_a_persons_page_by_a_key(of_all: System, method: str, path: str, access: Access) -> None:
    assert access.people
    for headers in ({}, {"Authorization": f"Bearer {key_of(Scope.ADMIN)}"}):
        assert (await call(of_all, method, path, headers)).status_code == 401


@pytest.mark.parametrize("whose", Whose)
@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(("method", "path", "access"), PEOPLES)
async def test_a_person_may_what_their_role_and_team_say(
    of_all: System, method: str, path: str, access: Access, role: Role, whose: Whose
) -> None:
    assert access.people
    async with signed_in(of_all, f"{role}@example.org") as person:
        body = _WRONG if method == "POST" and path.startswith("/api/") else None
        answer = await person.request(method, path.format(**await names_in(of_all, whose)), json=body)

    right = access.people.may(role, whose)
    assert (answer.status_code == 403) == (right is Right.NO), (right, answer.text)
    assert answer.status_code != 401


async def names_in(system: System, whose: Whose) -> dict[str, str]:
    """Of that conversation, as paths name it and what is in it."""
    statement = """SELECT e.id::text AS effect_id, e.conversation_id::text FROM effects e
                     JOIN conversations c ON c.id = e.conversation_id
                     JOIN channel_identities i ON i.customer_id = c.customer_id WHERE i.value = :value"""
    row = await system.database.row(statement, {"value": whose})
    assert row
    return _NOWHERE | {"customer_id": whose} | dict(row) | {"delivery_id": row["effect_id"]}


async def test_the_openapi_document_says_which_scope_a_call_needs(of_all: System) -> None:
    described = (await of_all.http.get("/openapi.json")).json()["paths"]

    calls = {(method.upper(), path): call for path, calls in described.items() for method, call in calls.items()}
    told = {each: call["security"] for each, call in calls.items() if "security" in call}
    assert told == {each: [{"HTTPBearer": [row.key]}] for each, row in ACCESS.items() if row.key}
    assert "scope `session` or `admin`" in calls["GET", "/api/deliveries"]["description"]
