"""A worker that dies at any boundary of an effect: done once where it can be known, else `unknown`, never silence."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from temporalio.testing import ActivityEnvironment

from integrations.endpoints.port import CallFailureKind, EndpointFailed
from schemas.actions import AssistantActions, Endpoint
from schemas.assistants import AssistantConfig
from schemas.conversations import NextStep, Perform, Thread, TurnOutcome, TurnRequest
from schemas.effects import Claim, EffectFailure, EffectOutcome, EffectStatus
from storage.actions import Actions
from storage.ledger import Ledger
from tests.incoming import incoming
from tests.support import clock
from tests.system_in_process import System, running_system
from worker.app import Activities, create_activities


class Killed(Exception):
    """Stands for the end of the process: nothing after it is done, what was committed before it stays."""


ORDER = Endpoint(
    name="order",
    description="Orders something",
    method="POST",
    url="https://shop.example/orders",
    safe=True,
    safe_because="an order can be cancelled",
)
KEYED = ORDER.model_copy(update={"honours_idempotency_key": True})


@pytest.fixture
async def system(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    async with running_system(postgres_url, temporal_address, worker=False) as system:
        yield system


async def unchanged(outcome: TurnOutcome) -> TurnOutcome:
    """Leaves every action to the activity `perform`, also one that is only a row of ours."""
    return outcome


def activities(system: System) -> Activities:
    return create_activities(system.temporal, system.database, system.outside, system.settings, now=clock.now)


async def planned(system: System, output: dict[str, Any], endpoint: Endpoint = ORDER) -> Perform:
    """A turn whose action is accepted and in the ledger, and not begun."""
    does = activities(system)
    object.__setattr__(does.turn._action_activities, "perform_inline", unchanged)
    config = AssistantConfig(actions=AssistantActions(endpoints=(endpoint,)))
    await system.services.configurations.apply("default", config, "test")
    stored = await system.services.inbox.store(incoming("Order it", 1))
    thread = Thread(frontend_context_uuid=uuid4())
    system.perplexity.scripts.append(json.dumps({"reason": "Asked for it", **output}))
    request = TurnRequest(conversation_id=stored.conversation_id, cursor=0, thread=thread)
    outcome = await ActivityEnvironment().run(does.turn.answer, request)
    assert (outcome.step, outcome.action_id is not None) == (NextStep.PERFORM, True)
    return Perform(action_id=outcome.action_id)


def dying(boundary: str, system: System) -> Activities:
    """Activities whose worker dies at *boundary*."""
    does = activities(system)

    def die(*_: Any, **__: Any) -> Any:
        raise Killed(boundary)

    parts: dict[str, tuple[Any, str]] = {
        "before the call": (does.actions._handlers, "of"),
        "between call and record": (does.actions._ledger, "complete"),
        "between record and report": (does.actions._commits, "commit"),
    }
    part, name = parts[boundary]
    object.__setattr__(part, name, die)
    return does


async def claim(system: System, perform: Perform) -> Claim:
    """As an attempt that vanishes after it."""
    action = await Actions(system.database).get(perform.action_id)
    return await Ledger(system.database).claim(action.effect_key, lease_seconds=600, give_up_seconds=3_600)


CALL = {"action": "api_call", "metadata": {"endpoint": "order", "params": {}}}
KNOWN: list[tuple[str, Endpoint, str, int]] = [
    ("before the call", ORDER, "unknown", 0),
    ("between call and record", ORDER, "unknown", 1),
    ("between record and report", ORDER, "unknown", 1),
    ("before the call", KEYED, "confirmed", 1),
    ("between call and record", KEYED, "confirmed", 2),
]


@pytest.mark.parametrize(("boundary", "endpoint", "status", "calls"), KNOWN)
async def test_a_worker_that_dies_around_a_call(
    system: System, boundary: str, endpoint: Endpoint, status: str, calls: int
) -> None:
    if boundary == "between record and report":
        system.endpoints.outcomes.append(EndpointFailed(CallFailureKind.UNKNOWN, "the connection dropped"))
    perform = await planned(system, CALL, endpoint)

    with pytest.raises(Killed):
        await ActivityEnvironment().run(dying(boundary, system).actions.perform, perform)
    outcome = await ActivityEnvironment().run(activities(system).actions.perform, perform)

    [effect] = await system.database.rows("SELECT status FROM effects")
    assert effect["status"] == status
    assert len(system.endpoints.calls) == calls
    assert len({key for _, _, key in system.endpoints.calls}) <= 1
    assert outcome.step is (NextStep.CONCLUDE if status == "confirmed" else NextStep.FINISHED)


@pytest.mark.parametrize("boundary", ["before the call", "between call and record", "between record and report"])
async def test_a_worker_that_dies_around_a_ticket_opens_one(system: System, boundary: str) -> None:
    output = {"action": "create_ticket", "metadata": {"subject": "Lamp", "description": "Broken"}}
    perform = await planned(system, output)

    with pytest.raises(Killed):
        await ActivityEnvironment().run(dying(boundary, system).actions.perform, perform)
    outcome = await ActivityEnvironment().run(activities(system).actions.perform, perform)

    tickets = await system.database.rows("SELECT number FROM tickets")
    replies = await system.database.rows("SELECT text FROM messages WHERE direction = 'out'")
    assert [f"T-{ticket['number']}" for ticket in tickets] == [outcome.ticket_id]
    assert len(replies) == 1


async def test_an_attempt_with_an_older_fence_writes_nothing(system: System) -> None:
    perform = await planned(system, CALL, KEYED)
    ledger = Ledger(system.database)
    old, new = await claim(system, perform), await claim(system, perform)

    late = [await ledger.fail(old, EffectFailure.FAILED, {}), await ledger.release(old, None, {})]
    late.append(await ledger.complete(old, EffectOutcome(status=EffectStatus.UNKNOWN)))
    right = await ledger.complete(new, EffectOutcome(status=EffectStatus.CONFIRMED))

    assert (late, right) == ([False, False, False], True)
    assert (new.status_before, new.attempts, new.unknown_attempts) == (EffectStatus.SENDING, 2, 1)
    [effect] = await system.database.rows("SELECT status FROM effects")
    assert effect["status"] == "confirmed"


async def test_what_is_planned_again_is_not_settled(system: System) -> None:
    claimed, ledger = await claim(system, await planned(system, CALL)), Ledger(system.database)

    await ledger.fail(claimed, EffectFailure.FAILED, {})
    assert (await ledger.get(claimed.key)).settled_at is not None
    await ledger.release(claimed, None, {})

    row = await ledger.get(claimed.key)
    assert (row.status, row.settled_at) == (EffectStatus.PLANNED, None)


async def test_a_result_that_did_not_reach_its_turn_reaches_it_with_the_next_attempt(system: System) -> None:
    """The effect is confirmed, the worker dies, and the turn stands where it stood."""
    perform, does = await planned(system, CALL, KEYED), activities(system)
    claimed = await claim(system, perform)
    await does.actions._ledger.complete(claimed, EffectOutcome(status=EffectStatus.CONFIRMED, result={"body": "done"}))

    outcome = await ActivityEnvironment().run(does.actions.perform, perform)

    assert (outcome.step, system.endpoints.calls) == (NextStep.CONCLUDE, [])
