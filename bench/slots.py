"""How soon an account's slot is free once nobody wants the question's answer any more: two figures that stand alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from statistics import median
from uuid import uuid4

import asyncpg
import httpx2

from bench.comparison import Figure
from bench.scenarios.webhooks import message_from, new_phone
from bench.subject import Caller, sign_webhook
from tests.support.waiting import until
from tests.system.running import KEY, Program

_SLOW = "[[sim: slow=20]] Hello"
_CALLS = """
SELECT a.ended_at IS NOT NULL AS ended, extract(epoch FROM a.ended_at - $2::timestamptz) AS seconds
  FROM account_calls a JOIN turns t ON t.id = a.turn_id JOIN messages m ON m.conversation_id = t.conversation_id
 WHERE m.channel_message_id = $1 ORDER BY a.started_at LIMIT 1
"""

End = Callable[[str], Awaitable[None]]
"""Makes a customer's question useless; takes their phone number."""


async def slots(subject: Program, caller: Caller, times: int) -> list[Figure]:
    """Median seconds, on the database's clock."""

    async def write_on(phone: str) -> None:
        await caller.webhook(message_from(phone, "And another thing"), sign_webhook)

    async def take_over(phone: str) -> None:
        await asyncio.to_thread(_take_over, subject, phone)

    return [
        Figure("slot free after a newer message", await _typical(subject, caller, times, write_on), "s"),
        Figure("slot free after a take-over", await _typical(subject, caller, times, take_over), "s"),
    ]


async def _typical(subject: Program, caller: Caller, times: int, end: End) -> float:
    async with _database(subject) as database:
        return median([await _seconds(database, caller, end) for _ in range(times)])


async def _seconds(database: asyncpg.Connection, caller: Caller, end: End) -> float:
    """From the moment before *end* until the slot is free."""
    phone, message_id = new_phone(), f"wamid.{uuid4().hex}"
    await caller.webhook(message_from(phone, _SLOW, message_id), sign_webhook)
    await until("a question", lambda: database.fetchrow(_CALLS, message_id, None))
    began = await database.fetchval("SELECT clock_timestamp()")
    await end(phone)
    call = await until("a free slot", lambda: database.fetchrow(_CALLS, message_id, began), lambda call: call["ended"])
    return float(call["seconds"])


def _take_over(subject: Program, phone: str) -> None:
    url = f"{subject.addresses['api']}/api/session/+{phone}/state?channel=whatsapp"
    headers = {"Authorization": f"Bearer {KEY}"}
    body = {"state": "human_handoff", "reason": "bench"}
    httpx2.post(url, json=body, headers=headers, timeout=30).raise_for_status()


@asynccontextmanager
async def _database(subject: Program) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(subject.addresses["database_url"])
    try:
        yield connection
    finally:
        await connection.close()
