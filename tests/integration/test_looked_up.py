"""A call of which nobody knows whether it was executed, at a service that can be asked for the call's key."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from integrations.endpoints.port import CallFailureKind, EndpointFailed, EndpointResult
from schemas.actions import AssistantActions, Endpoint, LookUp
from schemas.assistants import AssistantConfig
from schemas.conversations import NextStep, Perform, Thread, TurnOutcome, TurnRequest
from storage.ledger import Ledger
from tests.incoming import incoming
from tests.support.shop import output
from tests.system_in_process import System, running_system
from worker.app import create_activities

LOOK_UP = LookUp(
    url="https://shop.example/orders?reference={key}", key_param="reference", found="/orders/0", lag_seconds=0
)
ORDER = Endpoint(
    name="order",
    description="Orders something",
    method="POST",
    url="https://shop.example/orders",
    safe=True,
    safe_because="an order can be cancelled",
    look_up=LOOK_UP,
    time_limit_seconds=0.1,
)
ASKED = "order (look-up)"
FOUND = EndpointResult(status=200, body='{"orders": [{"number": 7}]}')
NOT_THERE = EndpointResult(status=200, body='{"orders": []}')
UNKNOWN = EndpointFailed(CallFailureKind.UNKNOWN, "the connection dropped")


@pytest.fixture
async def still(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    """A system without a worker: the test runs each attempt itself."""
    async with running_system(postgres_url, temporal_address, worker=False) as system:
        yield system


async def configure(system: System, endpoint: Endpoint) -> None:
    config = AssistantConfig(actions=AssistantActions(endpoints=(endpoint,)))
    await system.services.configurations.apply("default", config, "test")
    system.perplexity.scripts.append(output("api_call", endpoint="order", params={}))


async def begun(system: System, endpoint: Endpoint = ORDER) -> Perform:
    """An action whose first attempt has vanished: nobody knows whether the call was made."""
    await configure(system, endpoint)
    stored = await system.services.inbox.store(incoming("Order it", 1))
    thread = Thread(frontend_context_uuid=uuid4())
    request = TurnRequest(conversation_id=stored.conversation_id, cursor=0, thread=thread)
    does = create_activities(system.temporal, system.database, system.outside, system.settings)
    outcome = await ActivityEnvironment().run(does.turn.answer, request)
    (row,) = await system.database.rows("SELECT key FROM effects")
    await Ledger(system.database).claim(row["key"], lease_seconds=600, give_up_seconds=3_600)
    await system.database.rows("UPDATE effects SET claimed_at = claimed_at - interval '1 second'")
    return Perform(action_id=outcome.action_id)


async def perform(system: System, action: Perform) -> TurnOutcome:
    does = create_activities(system.temporal, system.database, system.outside, system.settings)
    return await ActivityEnvironment().run(does.actions.perform, action)


async def effect(system: System) -> Any:
    (row,) = await system.database.rows("SELECT key, status, result, unknown_attempts, attempts, error FROM effects")
    return row


def called(system: System) -> list[str]:
    return [name for name, _, _ in system.endpoints.calls]


async def test_what_is_there_was_done_and_is_the_result(still: System) -> None:
    action = await begun(still)
    still.endpoints.outcomes.append(FOUND)

    outcome = await perform(still, action)

    row = await effect(still)
    assert (row["status"], row["result"]) == ("confirmed", {"status": 200, "body": {"number": 7}})
    assert still.endpoints.calls == [(ASKED, {"key": row["key"]}, None)]
    assert outcome.step is NextStep.CONCLUDE


@pytest.mark.parametrize("answer", [NOT_THERE, EndpointResult(status=404, body="nothing"), EndpointResult(status=404)])
async def test_what_is_not_there_is_done_once_more_under_the_same_key(still: System, answer: EndpointResult) -> None:
    action = await begun(still)
    still.endpoints.outcomes.append(answer)

    await perform(still, action)

    row = await effect(still)
    assert (row["status"], row["unknown_attempts"]) == ("confirmed", 0)
    assert still.endpoints.calls[1:] == [("order", {"reference": row["key"]}, row["key"])]


async def test_a_call_that_may_still_be_under_way_is_not_taken_for_not_done(still: System) -> None:
    """The attempt lost its heartbeat, not its life."""
    action = await begun(still, ORDER.model_copy(update={"time_limit_seconds": 10.0}))
    still.endpoints.outcomes.append(NOT_THERE)

    with pytest.raises(ApplicationError) as again:
        await perform(still, action)

    assert again.value.next_retry_delay == timedelta(seconds=20)
    assert called(still) == [ASKED]


async def test_what_is_not_there_yet_is_looked_up_again_later(still: System) -> None:
    slow = ORDER.model_copy(update={"look_up": LOOK_UP.model_copy(update={"lag_seconds": 30.0})})
    action = await begun(still, slow)
    still.endpoints.outcomes.append(NOT_THERE)

    with pytest.raises(ApplicationError) as again:
        await perform(still, action)

    assert again.value.next_retry_delay == timedelta(seconds=30 + 2 * ORDER.time_limit_seconds)
    assert (called(still), (await effect(still))["status"]) == ([ASKED], "sending")


@pytest.mark.parametrize(
    "answer",
    [
        EndpointFailed(CallFailureKind.NOT_SENT, "it cannot be reached"),
        EndpointFailed(CallFailureKind.FAILED, "it answered 403"),
        EndpointResult(status=200, body="<html>Welcome</html>"),
        EndpointResult(status=200, body=FOUND.body[:-3], unread="more than 10000 bytes"),
    ],
)
async def test_a_look_up_that_says_nothing_repeats_nothing(still: System, answer: Any) -> None:
    action = await begun(still)
    still.endpoints.outcomes.extend([answer] * 9)

    for _ in range(ORDER.retries):
        with pytest.raises(ApplicationError):
            await perform(still, action)
    outcome = await perform(still, action)

    row = await effect(still)
    assert (row["status"], outcome.step) == ("unknown", NextStep.FINISHED)
    assert row["error"]["explanation"].startswith("looked up: ")
    assert set(called(still)) == {ASKED}


async def test_a_look_up_that_hangs_repeats_nothing(still: System) -> None:
    action = await begun(still)
    still.endpoints.gate.clear()

    with pytest.raises(ApplicationError):
        await perform(still, action)

    assert (called(still), (await effect(still))["status"]) == ([ASKED], "sending")


async def test_what_was_surely_not_done_before_may_surely_fail(still: System) -> None:
    action = await begun(still)
    still.endpoints.outcomes.extend([NOT_THERE, EndpointFailed(CallFailureKind.FAILED, "it answered 409")])

    await perform(still, action)

    assert (await effect(still))["status"] == "failed"


async def test_an_action_without_further_tries_is_looked_up_all_the_same(still: System) -> None:
    action = await begun(still, ORDER.model_copy(update={"retries": 0}))
    still.endpoints.outcomes.append(NOT_THERE)

    await perform(still, action)

    assert (called(still), (await effect(still))["status"]) == ([ASKED], "failed")


async def test_a_worker_looks_up_before_it_repeats(postgres_url: str, temporal_address: str) -> None:
    async with running_system(postgres_url, temporal_address) as system:
        await configure(system, ORDER)
        system.endpoints.outcomes.extend([UNKNOWN, NOT_THERE, UNKNOWN, FOUND])
        system.perplexity.scripts.append("It is ordered, number 7.")

        turn = (await system.send("Order it")).json()

        assert (turn["action"]["status"], turn["reply"]["text"]) == ("confirmed", "It is ordered, number 7.")
        assert called(system) == ["order", ASKED, "order", ASKED]
        assert json.dumps({"number": 7}, separators=(",", ":")) in system.perplexity.prompts[-1].text
