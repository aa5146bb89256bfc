"""What must be true afterwards: seen as a customer through the API, and in the database itself, which is only read."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from tests.support.waiting import until_blocking
from tests.system.chaos_clients import ChaosCustomer
from tests.system.running import AGENT, Program

APOLOGIES_SHARE = 0.05
_PAGE = 200

_MUST_BE_ZERO = {
    "messages beyond the cursor": "SELECT count(*) FROM conversations WHERE cursor < newest_seq",
    "turns without an end": "SELECT count(*) FROM turns WHERE finished_at IS NULL",
    "rows pending for more than 5 minutes": """
        SELECT (SELECT count(*) FROM turns
                 WHERE finished_at IS NULL AND started_at < agent_now() - interval '5 minutes')
             + (SELECT count(*) FROM effects WHERE status IN ('planned', 'sending')
                   AND planned_at < agent_now() - interval '5 minutes')""",
    "turns with other than one reply": """
        SELECT count(*) FROM turns
         WHERE (SELECT count(*) FROM messages WHERE direction = 'out' AND turn_id = turns.id) <> 1""",
    "replies without a turn": """
        SELECT count(*) FROM messages WHERE direction = 'out'
           AND NOT EXISTS (SELECT 1 FROM turns WHERE turns.id = messages.turn_id)""",
    "messages in other than one turn": """
        SELECT count(*) FROM messages m WHERE direction = 'in' AND
               (SELECT count(*) FROM turns t WHERE t.conversation_id = m.conversation_id
                   AND m.seq BETWEEN t.first_seq AND t.last_seq) <> 1""",
    "conversations on other than one thread": """
        SELECT count(*) FROM conversations c
         WHERE (SELECT count(*) FROM threads WHERE conversation_id = c.id) <> 1""",
    "customers with other than one conversation": """
        SELECT count(*) FROM customers c
         WHERE (SELECT count(*) FROM conversations WHERE customer_id = c.id) <> 1""",
}

_STORED = """
SELECT i.value AS customer, m.seq, m.channel_message_id AS message_id, m.text
  FROM messages m
  JOIN conversations c ON c.id = m.conversation_id
  JOIN channel_identities i ON i.customer_id = c.customer_id
 WHERE m.direction = 'in' ORDER BY i.value, m.seq
"""


@asynccontextmanager
async def record(program: Program) -> AsyncIterator[asyncpg.Connection]:
    """The database of addresses.json; the session can only read."""
    settings = {"default_transaction_read_only": "on"}
    connection = await asyncpg.connect(program.addresses["database_url"], server_settings=settings)
    try:
        yield connection
    finally:
        await connection.close()


async def check_record(program: Program, customers: Sequence[ChaosCustomer]) -> None:
    """Every message is stored once, in the order it was sent, and belongs to one turn with one reply."""
    expected = [
        (customer.name, seq, sent.message_id, sent.text)
        for customer in sorted(customers, key=lambda one: one.name)
        for seq, sent in enumerate(customer.sent, 1)
    ]
    async with record(program) as connection:
        stored = sorted(tuple(row) for row in await connection.fetch(_STORED))
        assert stored == sorted(expected)
        await check_zeros(connection)


async def check_zeros(connection: asyncpg.Connection) -> None:
    found = {name: await connection.fetchval(query) for name, query in _MUST_BE_ZERO.items()}
    assert not any(found.values()), found


def check_answers(program: Program, customers: Sequence[ChaosCustomer]) -> None:
    """Through the API: a turn for each message, in order, with the dictated answer, on one thread; as it was told."""
    apologies = 0
    for customer in customers:
        turns = all_turns(program, customer.name)
        assert [turn["message_id"] for turn in turns] == [sent.message_id for sent in customer.sent]
        assert len({turn["thread"]["frontend_context_uuid"] for turn in turns}) == 1
        for turn, sent in zip(turns, customer.sent, strict=True):
            assert customer.answers[sent.message_id]["turn_id"] == turn["turn_id"]
            assert customer.answers[sent.message_id]["reply"] == turn["reply"]
            assert turn["reply"]["text"] == sent.answer or turn["verdict"] is None, turn
            apologies += turn["verdict"] is None
    messages = sum(len(customer.sent) for customer in customers)
    print(f"{messages} messages, {apologies} apologies")
    assert apologies <= APOLOGIES_SHARE * messages


def all_turns(program: Program, customer: str) -> list[dict[str, Any]]:
    """Oldest first, page by page."""
    turns: list[dict[str, Any]] = []
    more: dict[str, str] | None = {}
    with program.http() as http:
        while more is not None:
            page = http.get(f"/api/session/{customer}/turns", params={"limit": _PAGE, **more})
            turns += page.json()
            more = {"before": page.headers["Next-Before"]} if "Next-Before" in page.headers else None
    return turns[::-1]


def count_workflows(program: Program, query: str) -> int:
    """By Temporal's own command line."""
    command = [AGENT.with_name("temporal"), "workflow", "count", "--query", query, "--output", "json"]
    done = subprocess.run(
        [*command, "--address", program.addresses["temporal"]], capture_output=True, text=True, timeout=30, check=True
    )
    return int(json.loads(done.stdout).get("count", 0))


async def check_all(program: Program, customers: Sequence[ChaosCustomer]) -> None:
    """All of it, once every part is back. The last reply may come before its conversation's own bookkeeping."""
    for part in ("postgres", "temporal", "worker", "api"):
        await asyncio.to_thread(program.until_back, part)
    await asyncio.to_thread(check_answers, program, customers)
    await check_record(program, customers)
    ended_badly = "WorkflowType = 'Conversation' AND ExecutionStatus IN ('Failed', 'Terminated', 'TimedOut')"
    assert await asyncio.to_thread(count_workflows, program, ended_badly) == 0


def until_counted(program: Program, query: str, at_least: int) -> None:
    """Lists of workflows are eventually consistent."""
    until_blocking(
        f"{at_least} workflows where {query}",
        lambda: count_workflows(program, query),
        lambda count: count >= at_least,
    )
