"""Words that staff have still to agree, kept while a person has the conversation: not told once staff have decided, or
have let the time for it pass."""

from __future__ import annotations

import asyncio

import pytest
from temporalio.testing import ActivityEnvironment

from integrations.channels.failures import SendFailed, SendFailureKind
from schemas.actions import AssistantActions, Confirmation
from schemas.assistants import AssistantConfig, Texts
from schemas.conversations import Expire
from schemas.transitions import Event
from storage.erasure import Erasure
from tests.integration.test_unsaid import TICKET, Conversation, approve, still
from tests.support.attempts import activities
from tests.support.shop import CANCEL, output
from tests.support.stopping_database import DatabaseStop
from tests.support.waiting import until, within
from tests.system_in_process import System

__all__ = ["still"]

DECLINED = "I'm sorry, my colleague did not agree to that."
REFUSED = "I'm sorry, I can't do that here. Is there anything else I can help with?"
OPENED = "I have opened a ticket for you. Its number is T-1001."
EXPIRED = Texts().expired
ASKED = "A colleague has to agree to this first. I will tell you as soon as they have."


@pytest.fixture
async def promised(still: System) -> Conversation:
    """A ticket waits for staff, and the words that say so wait to be sent."""
    config = AssistantConfig(actions=AssistantActions(confirmations={"create_ticket": Confirmation.STAFF}))
    await still.services.configurations.apply("default", config, "test")
    talk = Conversation(still)
    still.perplexity.scripts.append(TICKET)
    await talk.customer.write("My lamp broke")
    await talk.answer()
    return talk


@pytest.mark.parametrize("withheld_before", [True, False])
async def test_what_was_done_is_told_in_their_place(promised: Conversation, *, withheld_before: bool) -> None:
    await promised.change(Event.TAKEN)
    if withheld_before:
        await promised.deliver()
    await approve(promised)
    await promised.deliver()
    held = await promised.held()
    await promised.change(Event.RELEASED)
    await promised.deliver()

    assert held == 1
    assert promised.customer.received == [OPENED]
    assert (await promised.held(), (await promised.customer.session())["waiting_messages"]) == (0, 0)


async def test_a_sender_that_read_the_promise_plans_what_came_in_its_place(promised: Conversation) -> None:
    await promised.change(Event.TAKEN)
    plan = DatabaseStop("planned AS (")
    sending = asyncio.create_task(promised.deliver(plan))
    await within("the plan", plan.reached.wait(), lambda: promised.customer.received)
    await approve(promised)
    plan.released.set()
    await sending
    await promised.change(Event.RELEASED)
    await promised.deliver()

    assert promised.customer.received == [OPENED]
    assert (await promised.held(), (await promised.customer.session())["waiting_messages"]) == (0, 0)


@pytest.mark.parametrize("statement", ["renewed AS (", "claimed AS ("])
async def test_a_sender_of_parts_that_are_none_any_more_plans_anew(promised: Conversation, statement: str) -> None:
    """They leave after all, and a person takes the conversation once more before they do."""
    await promised.change(Event.TAKEN)
    await promised.deliver()
    await promised.change(Event.RELEASED)
    at = DatabaseStop(statement)
    sending = asyncio.create_task(promised.deliver(at))
    await within(statement, at.reached.wait(), lambda: promised.customer.received)
    await promised.change(Event.TAKEN)
    await approve(promised)
    at.released.set()
    await sending
    await promised.change(Event.RELEASED)
    await promised.deliver()

    assert promised.customer.received == [OPENED]
    assert (await promised.held(), (await promised.customer.session())["waiting_messages"]) == (0, 0)


async def test_where_the_decision_itself_is_told_they_end(promised: Conversation) -> None:
    await promised.change(Event.TAKEN)
    await promised.deliver()
    await promised.change(Event.CLOSED)
    await approve(promised)
    await promised.deliver()
    await promised.change(Event.RELEASED)
    await promised.deliver()

    assert promised.customer.received == [OPENED]
    assert (await promised.held(), (await promised.customer.session())["waiting_messages"]) == (0, 0)


@pytest.mark.parametrize("taken", [True, False])
async def test_where_they_have_not_left_they_end_with_the_decision(
    still: System, promised: Conversation, *, taken: bool
) -> None:
    """The channel did not take them. *taken*: a person has the conversation before the decision's words leave."""
    still.whatsapp.failures.append(SendFailed(SendFailureKind.TRANSIENT, "down", retry_after=0.001))
    assert not await promised.delivered()
    await approve(promised)
    if taken:
        await promised.change(Event.TAKEN)
        await promised.deliver()
        await promised.change(Event.RELEASED)
    await promised.deliver()

    assert promised.customer.received == [OPENED]
    assert len(still.perplexity.prompts) == 1
    assert (await promised.held(), (await promised.customer.session())["waiting_messages"]) == (0, 0)


@pytest.mark.parametrize("withheld_before", [True, False])
@pytest.mark.parametrize(("approved", "words"), [(False, DECLINED), (True, REFUSED)])
async def test_what_staff_refused_is_told_in_their_place_and_not_asked_again(
    still: System, promised: Conversation, words: str, *, approved: bool, withheld_before: bool
) -> None:
    """Declined; or approved, and not configured any more."""
    if approved:
        left = AssistantConfig(actions=AssistantActions(enabled=("handoff_support",)))
        await still.services.configurations.apply("default", left, "test")
    await promised.change(Event.TAKEN)
    if withheld_before:
        await promised.deliver()
    await approve(promised, approved=approved)
    await promised.deliver()
    held = await promised.held()
    await promised.change(Event.RELEASED)
    await promised.deliver()

    assert held == 1
    assert promised.customer.received == [words]
    assert len(still.perplexity.prompts) == 1
    assert (await promised.held(), (await promised.customer.session())["waiting_messages"]) == (0, 0)


async def test_while_nobody_has_decided_they_are_true(promised: Conversation) -> None:
    await promised.change(Event.TAKEN)
    await promised.deliver()
    await promised.change(Event.RELEASED)
    await promised.deliver()
    await approve(promised)
    await promised.deliver()

    assert promised.customer.received == [ASKED, OPENED]


async def test_nothing_is_told_to_who_was_erased_before(promised: Conversation) -> None:
    tell = DatabaseStop("tell_decision(")
    approving = asyncio.create_task(approve(promised, tell))
    await within("the words", tell.reached.wait(), lambda: promised.customer.received)
    erasure = Erasure(promised.system.database)
    await erasure.erase(await erasure.customer_of(await promised.id), actor="Ann", force=True)
    tell.released.set()
    await approving

    assert await promised.system.database.rows("SELECT 1 FROM messages WHERE delivery = 'due' OR text <> ''") == []


async def let_pass(talk: Conversation) -> None:
    """Nobody decides in time."""
    await talk.system.database.rows("UPDATE actions SET expires_at = agent_now()")
    async with activities(talk.system) as does:
        await ActivityEnvironment().run(does.conversation.expire, Expire(conversation_id=await talk.id))


@pytest.mark.parametrize("withheld_before", [True, False])
async def test_that_nobody_decided_is_told_in_their_place_and_not_asked_again(
    promised: Conversation, *, withheld_before: bool
) -> None:
    await promised.change(Event.TAKEN)
    if withheld_before:
        await promised.deliver()
    await let_pass(promised)
    await promised.deliver()
    held = await promised.held()
    await promised.change(Event.RELEASED)
    await promised.deliver()

    assert held == 1
    assert promised.customer.received == [EXPIRED]
    assert len(promised.system.perplexity.prompts) == 1
    assert (await promised.held(), (await promised.customer.session())["waiting_messages"]) == (0, 0)


async def test_where_it_is_told_that_nobody_decided_they_end(promised: Conversation) -> None:
    await promised.change(Event.TAKEN)
    await promised.deliver()
    await promised.change(Event.CLOSED)
    await let_pass(promised)
    await promised.deliver()
    await promised.change(Event.RELEASED)
    await promised.deliver()

    assert promised.customer.received == [EXPIRED]
    assert len(promised.system.perplexity.prompts) == 1
    assert (await promised.held(), (await promised.customer.session())["waiting_messages"]) == (0, 0)


@pytest.mark.parametrize("taken", [True, False])
async def test_where_they_have_not_left_they_end_with_the_time(promised: Conversation, *, taken: bool) -> None:
    """The channel did not take them. *taken*: a person has the conversation before the words on it leave."""
    promised.system.whatsapp.failures.append(SendFailed(SendFailureKind.TRANSIENT, "down", retry_after=0.001))
    assert not await promised.delivered()
    await let_pass(promised)
    if taken:
        await promised.change(Event.TAKEN)
        await promised.deliver()
        await promised.change(Event.RELEASED)
    await promised.deliver()

    assert promised.customer.received == [EXPIRED]
    assert len(promised.system.perplexity.prompts) == 1
    assert (await promised.held(), (await promised.customer.session())["waiting_messages"]) == (0, 0)


async def test_given_back_and_not_sent_yet_they_end_with_the_time(promised: Conversation) -> None:
    await promised.change(Event.TAKEN)
    await promised.deliver()
    await promised.change(Event.RELEASED)
    await let_pass(promised)
    await promised.deliver()

    assert promised.customer.received == [EXPIRED]


async def test_a_sender_that_read_them_before_the_time_was_over_reads_again(promised: Conversation) -> None:
    plan = DatabaseStop("planned AS (")
    sending = asyncio.create_task(promised.deliver(plan))
    await within("the plan", plan.reached.wait(), lambda: promised.customer.received)
    await let_pass(promised)
    plan.released.set()
    await sending

    assert promised.customer.received == [EXPIRED]


@pytest.mark.parametrize("end", ["the time is over", "staff decide"])
@pytest.mark.parametrize(("kind", "received"), [(SendFailureKind.TRANSIENT, []), (SendFailureKind.UNKNOWN, [ASKED])])
async def test_what_was_on_its_way_and_did_not_arrive_is_not_sent_again_after_it(
    promised: Conversation, kind: SendFailureKind, received: list[str], end: str
) -> None:
    """UNKNOWN: it may have arrived. Then staff are told so."""
    channel = promised.system.whatsapp
    channel.failures.append(SendFailed(kind, "down", retry_after=0.001))
    channel.gate.clear()
    sending = asyncio.create_task(promised.delivered())
    await within("the request", channel.held.wait(), lambda: promised.customer.received)
    await (let_pass(promised) if end == "the time is over" else approve(promised))
    channel.gate.set()
    assert not await sending
    await until("the rest is sent", promised.delivered)

    assert promised.customer.received == [*received, EXPIRED if end == "the time is over" else OPENED]
    assert (await promised.held(), (await promised.customer.session())["waiting_messages"]) == (0, 0)


async def test_they_have_left_before_the_time_is_over(promised: Conversation) -> None:
    await promised.deliver()
    await let_pass(promised)
    await promised.deliver()

    assert promised.customer.received == [ASKED, EXPIRED]


async def test_a_question_to_the_customer_that_has_not_left_is_not_put_once_it_has_expired(still: System) -> None:
    config = AssistantConfig(actions=AssistantActions(endpoints=(CANCEL,)))
    await still.services.configurations.apply("default", config, "test")
    talk = Conversation(still)
    still.perplexity.scripts.append(output("api_call", endpoint="cancel_order", params={}))
    await talk.customer.write("Cancel my order")
    await talk.answer()
    await let_pass(talk)
    await talk.deliver()

    assert talk.customer.received == [EXPIRED]
