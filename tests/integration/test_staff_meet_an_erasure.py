"""What staff do to a customer who is erased at this moment is 404, and leaves nothing in the erased conversation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx2
import pytest

from storage.erasure import Erasure
from tests.support.waiting import until
from tests.system_in_process import System, running_system

WAITING = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
REPLY = {"text": "I am here.", "agent_name": "Ann"}


@pytest.fixture
async def still(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    async with running_system(postgres_url, temporal_address) as system:
        await system.send("Hello")
        yield system


async def erased_meanwhile(system: System, call: str, body: dict[str, Any], key: str | None = None) -> httpx2.Response:
    """The answer to a call that found its session before the erasure and comes to write after it."""
    erasure = Erasure(system.database)
    customer = await erasure.customer_of(UUID((await system.session())["conversation_id"]))
    async with system.database.transaction() as transaction:
        await transaction.rows("SELECT 1 FROM channel_identities FOR UPDATE")  # what an erasure removes last
        erasing = asyncio.create_task(erasure.erase(customer, actor="test"))
        await until("the erasure that waits", lambda: system.database.rows(WAITING))
        calling = asyncio.create_task(post(system, call, body, key))
        await until("the call that waits", lambda: system.database.rows(WAITING), lambda waiting: len(waiting) == 2)
    assert (await erasing).conversations == 1
    return await calling


async def post(system: System, call: str, body: dict[str, Any], key: str | None = None) -> httpx2.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return await system.http.post(f"/api/session/c-1/{call}", json=body, headers=headers)


@pytest.mark.parametrize("key", [None, "r-1"])
async def test_a_reply_is_not_taken(still: System, key: str | None) -> None:
    answer = await erased_meanwhile(still, "messages", REPLY, key)

    assert answer.status_code == 404
    assert not await still.database.rows("SELECT 1 FROM messages WHERE author = 'agent'")


async def test_a_reply_that_was_taken_before_is_not_known_any_more(still: System) -> None:
    assert (await post(still, "messages", REPLY, "r-1")).status_code == 202

    assert (await erased_meanwhile(still, "messages", REPLY, "r-1")).status_code == 404


@pytest.mark.parametrize(("call", "body"), [("state", {"state": "human_handoff"}), ("reset", {})])
async def test_who_has_it_stays(still: System, call: str, body: dict[str, Any]) -> None:
    answer = await erased_meanwhile(still, call, body)

    assert answer.status_code == 404
    assert not await still.database.rows("SELECT 1 FROM audit WHERE deed LIKE 'conversation.%'")
    assert [row["owner"] for row in await still.database.rows("SELECT owner FROM conversations")] == ["closed"]
    assert not await still.database.rows("SELECT 1 FROM handoffs")
