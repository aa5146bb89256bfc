"""Effects that nobody carries on: whoever claimed them is gone, and so is the workflow's own try at them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs
from temporalio.testing import ActivityEnvironment

from config import metrics
from schemas.actions import AssistantActions, Confirmation
from schemas.assistants import AssistantConfig
from schemas.conversations import ApprovalDecision
from schemas.effects import Claim
from schemas.transitions import Event
from storage.actions import Actions
from storage.database import Database
from storage.ledger import Abandoned, Ledger
from storage.standings import Standings
from tests.support.attempts import activities
from tests.support.clock import MovableClock
from tests.support.shop import BOOK, output
from tests.support.stopping_database import DatabaseStop
from tests.support.waiting import until, within
from tests.system_in_process import System
from worker.app import create_activities

KEYED = BOOK.model_copy(update={"name": "keyed", "honours_idempotency_key": True})


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
async def later(system: System, clock: MovableClock) -> AsyncIterator[Database]:
    """The same database, by another clock."""
    database = Database(system.settings.database_url or "", now=clock)
    yield database
    await database.close()


async def approved(system: System, asked: str = "book") -> str:
    """The key of an action that Ann approved before her worker vanished: in the ledger, and nobody has it."""
    confirmations = {"create_ticket": Confirmation.STAFF, "api_call": Confirmation.STAFF}
    config = AssistantActions(endpoints=(BOOK, KEYED.model_copy(update={"name": "keyed"})), confirmations=confirmations)
    await system.services.configurations.apply("default", AssistantConfig(actions=config), "test")
    call = output("api_call", endpoint=asked, params={})
    ticket = output("create_ticket", subject="Lamp", description="Broken")
    system.perplexity.scripts.append(ticket if asked == "ticket" else call)
    await system.send("Please")
    session = await system.session()
    actions, conversation_id = Actions(system.database), UUID(session["conversation_id"])
    by = await actions.hand_in(conversation_id, approved=True, who="Ann")
    digest = session["pending_action"]["digest"]
    assert await actions.decide(ApprovalDecision(digest=digest, approved=True, by=by, conversation_id=conversation_id))
    [effect] = await system.database.rows("SELECT key FROM effects")
    return str(effect["key"])


async def claim(system: System, key: str) -> Claim:
    return await Ledger(system.database).claim(key, lease_seconds=600, give_up_seconds=3_600)


async def found(database: Database, limit: int = 10) -> list[Abandoned]:
    return await Ledger(database).abandoned(60, 600, limit)


async def swept(system: System, database: Database, clock: MovableClock) -> dict[str, Any]:
    """The effect once a sweep at *clock*'s time, and what it has begun, are through."""
    does = create_activities(system.temporal, database, system.outside, system.settings, clock)
    await ActivityEnvironment().run(does.sweep.sweep)
    return await until(
        "an effect that is settled",
        lambda: _effect(system),
        lambda effect: effect["status"] not in ("planned", "sending") and effect["told"],
    )


async def _effect(system: System) -> dict[str, Any]:
    row = await system.database.row(
        "SELECT status, attempts, unknown_attempts, (SELECT text FROM messages WHERE id_scope = 'action') AS told"
        "  FROM effects"
    )
    assert row is not None
    return dict(row)


async def test_an_approved_action_that_nobody_began_is_done(
    system: System, later: Database, clock: MovableClock
) -> None:
    await approved(system, "ticket")
    clock.ahead = timedelta(minutes=2)

    effect = await swept(system, later, clock)

    assert (effect["status"], effect["attempts"]) == ("confirmed", 1)
    assert "T-1001" in effect["told"]


@pytest.mark.parametrize(("decided_by", "ends", "calls"), [("customer", "failed", 0), ("Ann", "confirmed", 1)])
async def test_after_a_take_over_only_what_staff_decided_is_begun(
    system: System, later: Database, clock: MovableClock, decided_by: str, ends: str, calls: int
) -> None:
    await approved(system, "keyed")
    if decided_by == "customer":  # their own yes: it is their turn's
        await system.database.rows("UPDATE actions SET decided_by = 'customer'")
        await system.database.rows("UPDATE effects SET owner_version = (SELECT owner_version FROM turns)")
    await Standings(system.database).change((await system.session())["conversation_id"], Event.TAKEN, who="Ann")
    clock.ahead = timedelta(minutes=2)

    effect = await swept(system, later, clock)
    [action] = await system.database.rows("SELECT status FROM actions")

    assert (effect["status"], len(system.endpoints.calls)) == (ends, calls)
    assert action["status"] == ("accepted" if calls else "cancelled")


@pytest.mark.parametrize(
    ("endpoint", "status", "unknown_attempts", "calls"), [("book", "unknown", 2, 0), ("keyed", "confirmed", 1, 1)]
)
async def test_one_whose_claimer_is_gone_is_repeated_only_where_that_cannot_double_it(
    system: System, later: Database, clock: MovableClock, endpoint: str, status: str, unknown_attempts: int, calls: int
) -> None:
    await claim(system, await approved(system, endpoint))
    clock.ahead = timedelta(minutes=20)

    effect = await swept(system, later, clock)

    assert (effect["status"], effect["unknown_attempts"]) == (status, unknown_attempts)
    assert len(system.endpoints.calls) == calls


async def test_whoever_has_claimed_it_may_be_at_it_for_the_lease(
    system: System, later: Database, clock: MovableClock
) -> None:
    key = await approved(system)
    clock.ahead = timedelta(minutes=2)
    claimed = await Ledger(later).claim(key, lease_seconds=600, give_up_seconds=3_600)

    within_the_lease = await found(later)
    clock.ahead += timedelta(minutes=11)
    after_it = await found(later)
    again = await found(later)

    assert claimed.won
    assert [each.key for each in (*within_the_lease, *after_it, *again)] == [key]
    assert after_it[0].decision is not None
    assert (after_it[0].decision.by, after_it[0].decision.approved) == (None, True)


async def test_past_its_deadline_it_is_not_tried_again(system: System, later: Database, clock: MovableClock) -> None:
    key = await approved(system, "keyed")
    claimed = await Ledger(system.database).claim(key, lease_seconds=0, give_up_seconds=0)
    await Ledger(system.database).release(claimed, "not_done", {})
    clock.ahead = timedelta(minutes=2)

    effect = await swept(system, later, clock)

    assert (effect["status"], system.endpoints.calls) == ("failed", [])


@pytest.mark.parametrize(("status", "ends"), [("planned", "failed"), ("sending", "unknown")])
async def test_what_nobody_can_carry_on_ends_as_what_is_known_of_it(
    system: System, later: Database, clock: MovableClock, status: str, ends: str
) -> None:
    """As a notification of a later kind would be whose code is gone."""
    await system.send("Hello")
    await system.database.rows(
        "INSERT INTO effects (key, kind, conversation_id, turn_id, status) "
        "SELECT 'k', 'notification', conversation_id, id, :status FROM turns",
        {"status": status},
    )
    clock.ahead = timedelta(minutes=2)
    does = create_activities(system.temporal, later, system.outside, system.settings, clock)
    counted = metrics.ACTIONS.labels("notification", ends)._value.get()

    await ActivityEnvironment().run(does.sweep.sweep)

    [effect] = await system.database.rows("SELECT status, fence, failure FROM effects")
    assert dict(effect) == {"status": ends, "fence": 1, "failure": "abandoned"}
    assert metrics.ACTIONS.labels("notification", ends)._value.get() == counted + 1


async def test_what_somebody_settles_meanwhile_is_not_called_abandoned(system: System) -> None:
    """Between the sweep's look and its word."""
    await system.send("Hello")
    await system.database.rows(
        "INSERT INTO effects (key, kind, conversation_id, turn_id, status, planned_at) SELECT 'k', 'notification',"
        " conversation_id, id, 'planned', agent_now() - interval '2 minutes' FROM turns"
    )
    found = DatabaseStop("left_open AS (", after=True)
    with capture_logs() as lines:
        async with activities(system, found) as does:
            sweeping = asyncio.create_task(ActivityEnvironment().run(does.sweep.sweep))
            await within("the look", found.reached.wait(), lambda: lines)
            await system.database.rows("UPDATE effects SET status = 'confirmed', settled_at = agent_now()")
            found.released.set()
            await sweeping

    assert [line for line in lines if line["event"] == "effect_abandoned"] == []
    assert [row["status"] for row in await system.database.rows("SELECT status FROM effects")] == ["confirmed"]


async def test_an_action_of_a_turn_that_goes_on_is_its_turns(
    system: System, later: Database, clock: MovableClock
) -> None:
    await approved(system)
    await system.database.rows("UPDATE turns SET finished_at = NULL, status = 'acting'")
    clock.ahead = timedelta(minutes=2)

    assert await found(later) == []
