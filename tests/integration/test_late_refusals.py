"""An attempt that was taken for dead comes back with its own failure: while another is at it, that says nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID, uuid4

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from integrations.channels.failures import SendFailed, SendFailureKind
from integrations.endpoints.port import CallFailureKind, EndpointFailed
from schemas.actions import AssistantActions, Confirmation, Endpoint
from schemas.assistants import AssistantConfig, Texts
from schemas.conversations import ApprovalDecision, Deliver
from storage.actions import Actions
from storage.outbox import Outbox
from tests.support.attempts import activities, answer, perform, stored
from tests.support.shop import output
from tests.support.stopping_database import DatabaseStop
from tests.support.waiting import within
from tests.system_in_process import System, running_system
from tests.whatsapp_customer import SETTINGS, Customer
from worker.app import Activities

ORDER = Endpoint(
    name="order",
    description="Orders",
    method="POST",
    url="https://shop.example/orders",
    honours_idempotency_key=True,
    safe=True,
    safe_because="an order can be cancelled",
)
CALL = output("api_call", endpoint="order", params={})
REFUSED = EndpointFailed(CallFailureKind.FAILED, "order answered 409")
FAILS, COMPLETES = "SET status = 'failed', failure = :failure", "external_id = coalesce(e.external_id"
RELEASES = "CASE WHEN over THEN 'failed'"
Does = Callable[[Activities], Awaitable[object]]


@pytest.fixture
async def still(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    """A system without a worker: the test runs each attempt itself."""
    async with running_system(postgres_url, temporal_address, worker=False) as system:
        yield system


async def configure(system: System, *endpoints: Endpoint, by_staff: bool = False) -> None:
    confirmations = {"api_call": Confirmation.STAFF} if by_staff else {}
    actions = AssistantActions(endpoints=endpoints, confirmations=confirmations)
    await system.services.configurations.apply("default", AssistantConfig(actions=actions), "test")


async def ordered(system: System) -> Does:
    """An order that is accepted and not begun; one attempt at it."""
    await configure(system, ORDER)
    system.perplexity.scripts.append(CALL)
    request = await stored(system, "Order it")
    async with activities(system) as does:
        outcome = await answer(does, request)
    return lambda does: perform(does, request, outcome)


async def approved(system: System) -> Does:
    """An order that staff have approved; one attempt at it."""
    await configure(system, ORDER, by_staff=True)
    system.perplexity.scripts.append(CALL)
    request = await stored(system, "Order it")
    async with activities(system) as does:
        await answer(does, request)
    [question] = (await system.session())["questions"]
    by = await Actions(system.database).hand_in(request.conversation_id, approved=True, who="Ann")
    decision = ApprovalDecision(
        digest=question["digest"], approved=True, by=by, conversation_id=request.conversation_id
    )
    return lambda does: ActivityEnvironment().run(does.actions.resolve_approval, decision)


async def told(system: System) -> list[str]:
    rows = await system.database.rows("SELECT text FROM messages WHERE direction = 'out' ORDER BY stored_at")
    return [row["text"] for row in rows]


async def statuses(system: System) -> list[str]:
    return [row["status"] for row in await system.database.rows("SELECT status FROM effects")]


@pytest.mark.parametrize("given", [ordered, approved])
async def test_it_denies_nothing_that_another_attempt_is_doing(
    still: System, given: Callable[[System], Awaitable[Does]]
) -> None:
    """A service answers 409 to the same key, for it is just doing what the other attempt asked for."""
    attempt = await given(still)
    before = await told(still)
    still.endpoints.outcomes.append(REFUSED)
    fails, completes = DatabaseStop(FAILS), DatabaseStop(COMPLETES)
    async with activities(still, fails) as first, activities(still, completes) as second:
        zombie = asyncio.ensure_future(attempt(first))
        await within("the refusal", fails.reached.wait(), lambda: zombie)
        living = asyncio.ensure_future(attempt(second))
        await within("the other attempt's call", completes.reached.wait(), lambda: living)

        fails.released.set()
        with pytest.raises(ApplicationError, match="another attempt is at this action") as failed:
            await zombie
        meanwhile = await told(still)
        completes.released.set()
        await living

    assert (failed.value.non_retryable, meanwhile) == (False, before)
    assert await statuses(still) == ["confirmed"]
    assert Texts().action_failed not in await told(still)


async def test_that_it_was_not_configured_is_not_said_of_what_was_done(still: System) -> None:
    """The configuration lacked it for a moment, in which the attempt that was taken for dead looked."""
    attempt = await approved(still)
    await configure(still)
    fails, tells = DatabaseStop(FAILS), DatabaseStop("tell_decision(")
    async with activities(still, fails) as first, activities(still, tells) as second:
        zombie = asyncio.ensure_future(attempt(first))
        await within("that it is not configured", fails.reached.wait(), lambda: zombie)
        living = asyncio.ensure_future(attempt(second))
        await within("the deed", tells.reached.wait(), lambda: living)
        fails.released.set()
        await zombie
        tells.released.set()
        await living

    assert await statuses(still) == ["confirmed"]
    assert (await told(still))[-1] == Texts().action_done


async def test_it_gives_up_no_reply_that_another_attempt_sends(postgres_url: str, temporal_address: str) -> None:
    """The channel refuses its request for good, and takes the other's: what is left of the reply leaves."""
    settings = {**SETTINGS, "delivery_settle_seconds": 0.001}
    async with running_system(postgres_url, temporal_address, worker=False, **settings) as system:
        await Customer(system).write("Hello")
        due = Deliver(conversation_id=UUID((await Customer(system).session())["conversation_id"]))
        long = "\n\n".join(["Many words. " * 300] * 2)
        await Outbox(system.database).add(due.conversation_id, long, message_id=uuid4(), author="assistant")
        system.whatsapp.failures.append(SendFailed(SendFailureKind.RECIPIENT_FINAL, "131026", code=131026))
        refused, vanished, sent = DatabaseStop(RELEASES), DatabaseStop(COMPLETES), DatabaseStop(COMPLETES)
        vanished.released.set()
        async with activities(system, refused) as first, activities(system, vanished, sent) as second:
            zombie = asyncio.create_task(ActivityEnvironment().run(first.delivery.deliver, due))
            await within("the refusal", refused.reached.wait(), lambda: zombie)
            living = asyncio.create_task(ActivityEnvironment().run(second.delivery.deliver, due))
            await within("the other attempt's request", sent.reached.wait(), lambda: living)

            refused.released.set()
            with pytest.raises(ApplicationError, match="another attempt is sending this part"):
                await zombie
            sent.released.set()
            await living

        notes = await system.database.rows("SELECT text FROM messages WHERE kind = 'note'")
        assert [posted.text.split("\n")[0] for posted in system.whatsapp.sent] == ["(1/2)", "(2/2)"]
        assert (list(notes), await statuses(system)) == ([], ["confirmed"] * 2)
