"""A question ends while its words are about to leave: nobody waits in a circle, and no part is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from schemas.actions import AssistantActions, Confirmation
from schemas.assistants import AssistantConfig
from schemas.deliveries import DueMessage, Part, PlannedPart
from schemas.effects import EffectStatus
from schemas.transitions import Event
from storage.actions import Actions, Told
from storage.database import Database, Transaction
from storage.ledger import Ledger
from storage.outbox import Outbox
from storage.questions import Questions
from tests.integration.test_unsaid import TICKET, Conversation
from tests.support.waiting import until, within
from tests.system_in_process import System, running_system
from tests.whatsapp_customer import SETTINGS

WORDS = [PlannedPart(part=0, text="A colleague has to agree")]


@pytest.fixture
async def talk(postgres_url: str, temporal_address: str) -> AsyncIterator[Conversation]:
    """Staff have to agree; that they have is due, and not planned."""
    async with running_system(postgres_url, temporal_address, worker=False, **SETTINGS) as system:
        by = {"create_ticket": Confirmation.STAFF}
        config = AssistantConfig(actions=AssistantActions(confirmations=by))
        await system.services.configurations.apply("default", config, "test")
        talk = Conversation(system)
        system.perplexity.scripts.append(TICKET)
        await talk.customer.write("My lamp broke")
        await talk.answer()
        yield talk


async def _expires(system: System, action_id: UUID) -> None:
    await Questions(system.database).expire(action_id, words="Too late", note="Too late", untold_note="Too late")


async def _declined(system: System, action_id: UUID) -> None:
    [action] = await system.database.rows("SELECT conversation_id FROM actions WHERE id = :id", {"id": action_id})
    await Actions(system.database).tell(action["conversation_id"], action_id, Told(Event.DECLINED, "No"))


ENDS = pytest.mark.parametrize("end", [_expires, _declined])
Ends = Callable[[System, UUID], Awaitable[None]]


async def _over(talk: Conversation) -> tuple[UUID, DueMessage]:
    rows = "UPDATE actions SET expires_at = agent_now() RETURNING id"
    [action] = await talk.system.database.rows(rows)
    [due] = await Outbox(talk.system.database).due(await talk.id)
    return action["id"], due


@ENDS
async def test_a_part_that_is_planned_meanwhile_ends_with_its_words(talk: Conversation, end: Ends) -> None:
    """Planned between the lock of the parts and the conversation's, and claimed at once."""
    action_id, due = await _over(talk)
    database = talk.system.database
    async with database.transaction() as holder:
        await holder.rows("SELECT 1 FROM conversations FOR NO KEY UPDATE")
        ending = asyncio.ensure_future(end(talk.system, action_id))
        await until("the end waits", lambda: _waiting(database, 1))
        sending = asyncio.ensure_future(_plan_and_claim(database, due))
        await until("the sender waits too", lambda: _waiting(database, 2))
    await within("the end", ending, lambda: None)
    await within("the sender", sending, lambda: None)

    assert await _left(database) == []


@ENDS
async def test_a_plan_that_is_under_way_is_waited_for(talk: Conversation, end: Ends) -> None:
    action_id, due = await _over(talk)
    database = talk.system.database
    async with database.transaction() as holder:
        planned = await Outbox(_Within(holder)).plan(due, WORDS, 60)
        ending = asyncio.ensure_future(end(talk.system, action_id))
        await until("the end waits", lambda: _waiting(database, 1))
    await within("the end", ending, lambda: None)

    assert len(planned) == 1
    assert await _left(database) == []


class _Within(Database):
    """Statements in a transaction that is open."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def rows(self, statement: str, values: Any = None) -> Any:
        return await self._transaction.rows(statement, values)


async def _plan_and_claim(database: Database, due: DueMessage) -> None:
    parts: list[Part] = await Outbox(database).plan(due, WORDS, 60)
    for part in parts:
        await Ledger(database).claim(
            part.key, lease_seconds=60, give_up_seconds=60, from_statuses=[EffectStatus.PLANNED], fence=part.fence
        )


async def _waiting(database: Database, count: int) -> bool:
    [row] = await database.rows(
        "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return int(row["n"]) >= count


async def _left(database: Database) -> list[str]:
    """Parts of the words that may still leave."""
    rows = await database.rows("SELECT status FROM effects WHERE kind = 'part' AND status IN ('planned', 'sending')")
    return [row["status"] for row in rows]
