"""A message that is not stored, for want of the database or of a process that stays: named, to be sent again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from tests.support.waiting import until, within
from tests.system_in_process import System, running_system

WRONG = {"Authorization": "Bearer wrong-key-0123456789"}


@pytest.fixture
async def forgetful(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    """An API process that remembers no key, with a database in which none can be looked up now."""
    async with running_system(postgres_url, temporal_address, worker=False) as system:
        await system.database.rows("ALTER TABLE api_keys RENAME TO away")  # an undefined table is StorageUnavailable
        yield system


async def call(system: System, path: str, headers: dict[str, str] | None = None, **body: Any) -> Any:
    whole = {"customer_id": "c-1", "text": "Hello", **body}
    return await system.http.post(f"/api/{path}", json=whole, headers=headers)


@pytest.mark.parametrize("path", ["message", "query_async"])
async def test_a_message_is_named_before_its_sender_is_known(forgetful: System, path: str) -> None:
    made_up = await call(forgetful, path)
    given = await call(forgetful, path, message_id="m-1")
    headed = await call(forgetful, path, {"Idempotency-Key": "m-2"})

    answers = (made_up, given, headed)
    named = [answer.json()["message_id"] for answer in answers]
    assert [answer.status_code for answer in answers] == [503, 503, 503]
    assert [answer.headers["Message-Id"] for answer in answers] == named
    assert named[1:] == ["m-1", "m-2"]
    assert UUID(named[0])
    assert {answer.json()["detail"] for answer in answers} == {
        "The database is unavailable, so nothing was stored. Send it again under the message_id that stands here."
    }
    assert await forgetful.database.rows("SELECT 1 FROM messages") == []


@pytest.mark.parametrize("path", ["message", "query_async"])
@pytest.mark.parametrize("wrong", [{"text": ""}, {"message_id": "another"}])
async def test_what_could_not_be_read_is_not_named(forgetful: System, path: str, wrong: dict[str, str]) -> None:
    """Nor is it told what is wrong with it: who calls is not known."""
    answer = await call(forgetful, path, {"Idempotency-Key": "m-1"}, **wrong)

    assert (answer.status_code, "Message-Id" in answer.headers) == (503, False)
    assert answer.json()["detail"] == "The database is unavailable. Repeat the call once it is back."
    assert answer.json().keys().isdisjoint({"message_id", "errors"})


@pytest.mark.parametrize("path", ["message", "query_async"])
@pytest.mark.parametrize("more", [{}, {"message_id": "m-1"}, {"text": ""}, {"message_id": "m-1", "customer_id": ""}])
async def test_a_wrong_key_is_told_nothing_of_its_message(system: System, path: str, more: dict[str, str]) -> None:
    answer = await call(system, path, WRONG | {"Idempotency-Key": "another"}, **more)

    assert (answer.status_code, "Message-Id" in answer.headers) == (401, False)
    assert answer.json().keys() == {"type", "title", "status", "detail", "request_id"}


@pytest.mark.parametrize("path", ["message", "query_async"])
async def test_a_process_that_stops_names_what_it_had_read(postgres_url: str, temporal_address: str, path: str) -> None:
    async with (
        running_system(postgres_url, temporal_address, worker=False, api_shutdown_seconds=0.1) as system,
        system.database.transaction() as held,
    ):
        await held.rows("LOCK TABLE messages")
        sending = asyncio.create_task(call(system, path))
        await until(
            "a message on its way into the inbox", lambda: [s for s in system.statements if "store_message" in s]
        )
        system.services.stopping.stop()
        answer = await within("the end of its call", sending, lambda: system.statements[-1])

    assert (answer.status_code, answer.headers["Message-Id"]) == (503, answer.json()["message_id"])
    assert "under the message_id that stands here" in answer.json()["detail"]
