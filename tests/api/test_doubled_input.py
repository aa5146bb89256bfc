"""What is said twice, and differently, is refused: nobody knows which of both is meant."""

from __future__ import annotations

from typing import Any

import pytest

from tests.system_in_process import System

JSON = {"Content-Type": "application/json"}
MESSAGE = '"customer_id": "c-1", "text": "Hello", "message_id": "m-1"'
TWICE: list[tuple[str, str, str]] = [
    ("message", f'{{{MESSAGE}, "text": "Good bye"}}', "/body/text"),
    ("message", f'{{{MESSAGE}, "customer_id": "c-1"}}', "/body/customer_id"),
    ("query_async", f'{{{MESSAGE}, "message_id": "m-2"}}', "/body/message_id"),
    ("session/c-1/state", '{"state": "bot", "state": "closed"}', "/body/state"),
    ("session/c-1/reset", '{"new_thread": false, "new_thread": true}', "/body/new_thread"),
    ("session/c-1/messages", '{"text": "a", "agent_name": "Ann", "text": "b"}', "/body/text"),
    ("session/c-1/approval", '{"approved": true, "approved": false}', "/body/approved"),
    ("message", f'{{{MESSAGE}, "more": [{{"a": 1, "a": 2}}]}}', "/body/more/0/a"),
    ("message", f'{{{MESSAGE}, "\\ud800": 1, "\\ud800": 2}}', "/body/?"),
    ("actions/simulate", '{"output": "x", "output": "y"}', "/body/output"),
    ("actions/simulate", '{"customer_id": "a", "customer_id": "b", "output": "x"}', "/body/customer_id"),
]


async def posted(system: System, path: str, body: str, headers: Any = None) -> Any:
    return await system.http.post(f"/api/{path}", content=body.encode(), headers=headers or JSON)


@pytest.mark.parametrize(("path", "body", "place"), TWICE)
async def test_a_key_that_is_there_twice(system: System, path: str, body: str, place: str) -> None:
    await system.send("Hello", message_id="before")

    refused = await posted(system, path, body)

    assert refused.status_code == 422, refused.text
    assert refused.json()["errors"] == [{"path": place, "message": "the key is there twice"}]
    assert (await system.session())["state"] == "bot"
    assert len(await system.database.rows("SELECT 1 FROM messages WHERE author <> 'assistant'")) == 1


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("Idempotency-Key", ("k-1", "k-2")),
        ("Last-Event-ID", ("1", "2")),
        ("Authorization", ("Bearer a", "Bearer b")),
        ("Content-Type", ("application/json", "text/plain")),
    ],
)
async def test_a_header_with_two_values(system: System, name: str, values: tuple[str, str]) -> None:
    headers = [*((k, v) for k, v in JSON.items() if k != name), *((name, value) for value in values)]

    refused = await posted(system, "query_async", '{"customer_id": "c-1", "text": "Hello"}', headers)

    assert (refused.status_code, name in refused.json()["detail"]) == (422, True)
    assert await system.database.rows("SELECT 1 FROM messages") == []


async def test_the_same_value_twice_is_no_contradiction(system: System) -> None:
    headers = [*JSON.items(), ("Idempotency-Key", "k-1"), ("Idempotency-Key", "k-1")]

    taken = await posted(system, "message", '{"customer_id": "c-1", "text": "Hello"}', headers)
    turns = await system.http.get("/api/session/c-1/turns?limit=1&limit=1")

    assert (taken.status_code, taken.json()["message_id"]) == (200, "k-1")
    assert turns.status_code == 200


@pytest.mark.parametrize(
    "query", ["turns?limit=1&limit=2", "turns?limit=1&%6Cimit=", "?channel=http&channel=web", "turns?a=%ff&a=%fe"]
)
async def test_a_query_that_names_one_thing_twice(system: System, query: str) -> None:
    await system.send("Hello")

    refused = await system.http.get(f"/api/session/c-1/{query}".replace("/?", "?"))

    assert (refused.status_code, refused.headers["Content-Type"]) == (422, "application/problem+json")
    assert "in the query" in refused.json()["detail"]
