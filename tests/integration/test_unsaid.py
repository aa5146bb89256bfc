"""Replies that did not leave over their channel, for a person took the conversation before: no question is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import RowMapping
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from integrations.channels.failures import SendFailed, SendFailureKind
from integrations.whatsapp.double import Posted
from schemas.actions import AssistantActions, Confirmation
from schemas.assistants import AssistantConfig, TemplateName
from schemas.conversations import ApprovalDecision, Deliver, Delivered, Thread, TurnOutcome, TurnRequest
from schemas.effects import EffectFailure
from schemas.transitions import Event
from storage.actions import Actions
from storage.outbox import Outbox
from storage.standings import Standings
from tests.support.attempts import activities, answer
from tests.support.clock import now, stamp
from tests.support.shop import output
from tests.support.stopping_database import DatabaseStop
from tests.support.waiting import until, within
from tests.system_in_process import System, running_system
from tests.whatsapp_customer import SETTINGS, Customer

TICKET = output("create_ticket", subject="Lamp", description="Broken lamp")
LONG = "\n\n".join(f"Paragraph {number}. " + "Many words of it. " * 50 for number in range(12))


@pytest.fixture
async def still(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    """A system without a worker: the test runs each attempt itself."""
    settings = {**SETTINGS, "delivery_settle_seconds": 0.001, "take_over_wait_seconds": 1.0}
    async with running_system(postgres_url, temporal_address, worker=False, **settings) as system:
        yield system


class Conversation:
    """A customer's, whose activities the test runs."""

    def __init__(self, system: System) -> None:
        self.system, self.customer, self.cursor = system, Customer(system), 0
        self.thread = Thread(frontend_context_uuid=uuid4())

    @property
    async def id(self) -> UUID:
        return UUID((await self.customer.session())["conversation_id"])

    async def answer(self) -> TurnOutcome:
        request = TurnRequest(conversation_id=await self.id, cursor=self.cursor, thread=self.thread)
        async with activities(self.system) as does:
            outcome = await answer(does, request)
        self.cursor = outcome.cursor
        return outcome

    async def deliver(self, *stops: DatabaseStop) -> Delivered:
        async with activities(self.system, *stops) as does:
            return await ActivityEnvironment().run(does.delivery.deliver, Deliver(conversation_id=await self.id))

    async def delivered(self) -> bool:
        """One attempt: whether it is the last, as Temporal sees it."""
        try:
            await self.deliver()
        except ApplicationError:
            return False
        return True

    async def change(self, *events: Event) -> None:
        for event in events:
            await Standings(self.system.database).change(await self.id, event, who="Ann")

    async def replies(self) -> Sequence[RowMapping]:
        return await self.system.database.rows("SELECT text, delivery FROM messages WHERE direction = 'out'")

    async def held(self) -> int:
        return int((await self.customer.session())["held"])


@pytest.fixture
async def talk(still: System) -> Conversation:
    """A question that is answered; the reply is due."""
    talk = Conversation(still)
    await talk.customer.write("What does it cost?")
    await talk.answer()
    return talk


async def test_a_reply_that_was_withheld_leaves_its_question_to_the_person(talk: Conversation) -> None:
    await talk.change(Event.TAKEN)
    due = await talk.held()
    await talk.deliver()

    assert (due, await talk.held(), talk.customer.received) == (1, 1, [])


@pytest.mark.parametrize("delivered", [True, False])
async def test_after_the_release_it_is_answered_once(talk: Conversation, *, delivered: bool) -> None:
    """Whether the release came after the reply was withheld, or before."""
    await talk.change(Event.TAKEN)
    if delivered:
        await talk.deliver()
    await talk.change(Event.RELEASED)
    await talk.deliver()
    await talk.answer()
    await talk.deliver()

    assert talk.customer.received == ["You said: What does it cost?"]
    assert len(talk.system.perplexity.prompts) == 2
    assert (await talk.held(), (await talk.customer.session())["waiting_messages"]) == (0, 0)


async def test_a_persons_own_words_end_it(talk: Conversation) -> None:
    await talk.change(Event.TAKEN)
    await talk.deliver()
    address = f"/api/session/{talk.customer.phone}/messages?channel=whatsapp"
    (await talk.system.http.post(address, json={"text": "Ten ringgit.", "agent_name": "Ann"})).raise_for_status()
    await talk.change(Event.RELEASED)
    await talk.deliver()

    assert talk.customer.received == ["Ten ringgit."]
    assert (await talk.held(), (await talk.customer.session())["waiting_messages"]) == (0, 0)


async def test_a_reply_of_which_a_part_left_is_answered_anew(still: System) -> None:
    talk = Conversation(still)
    still.perplexity.scripts.extend([LONG, "In short: ten ringgit."])
    await talk.customer.write("What does it cost?")
    await talk.answer()

    async def taken(_posted: Posted) -> None:
        await talk.change(Event.TAKEN)

    still.whatsapp.before_answering.append(taken)
    await talk.deliver()
    held = await talk.held()
    await talk.change(Event.RELEASED)
    await talk.answer()
    await talk.deliver()

    assert held == 1
    assert [text[:10] for text in talk.customer.received] == [talk.customer.received[0][:10], "In short: "]


async def test_where_its_sender_died_before_it_was_withheld_the_workflow_hears_of_the_question(still: System) -> None:
    """The reply has two parts."""
    talk = Conversation(still)
    still.perplexity.scripts.append(LONG[:6_000])
    await talk.customer.write("What does it cost?")
    await talk.answer()

    async def taken(_posted: Posted) -> None:
        await talk.change(Event.TAKEN)

    still.whatsapp.before_answering.append(taken)
    with pytest.raises(RuntimeError):
        await talk.deliver(DatabaseStop("withhold_message", error=RuntimeError("died")))
    await talk.change(Event.RELEASED)
    delivered = await talk.deliver()

    assert delivered.waiting_seq == 2


@pytest.mark.parametrize("dies", [SendFailureKind.RECIPIENT_FINAL, SendFailureKind.OUTSIDE_WINDOW])
async def test_who_gives_up_late_ends_nothing_that_was_withheld_meanwhile(
    talk: Conversation, dies: SendFailureKind
) -> None:
    """Else the customer's question would count as told, and nobody would answer it."""
    talk.system.whatsapp.failures.append(SendFailed(dies, "not there"))
    late = DatabaseStop("give_up_message")
    giving_up = asyncio.create_task(talk.deliver(late))
    await within("the end of the first attempt", late.reached.wait(), lambda: talk.system.whatsapp.sent)
    await talk.change(Event.TAKEN)
    await talk.deliver()
    late.released.set()
    await giving_up

    assert await talk.held() == 1
    assert [row["delivery"] for row in await talk.replies()] == ["withheld"]


async def test_a_notice_that_is_superseded_late_stays_withheld(talk: Conversation) -> None:
    """Whoever found it superseded was too late: a person has taken the conversation since."""
    [due] = await Outbox(talk.system.database).due(await talk.id)
    await talk.change(Event.TAKEN)
    await talk.deliver()

    assert not await Outbox(talk.system.database).give_up(due, EffectFailure.SUPERSEDED, None, None)
    assert [row["delivery"] for row in await talk.replies()] == ["withheld"]


async def test_what_is_superseded_after_a_refusal_is_not_a_failure(talk: Conversation) -> None:
    """The channel refused it once, and what it announced has come meanwhile: nobody needs to hear of it."""
    talk.system.whatsapp.failures.append(SendFailed(SendFailureKind.TRANSIENT, "later"))
    with pytest.raises(ApplicationError):
        await talk.deliver()
    [due] = await Outbox(talk.system.database).due(await talk.id)

    assert await Outbox(talk.system.database).give_up(due, "superseded", None, None)
    parts = await talk.system.database.rows("SELECT failure FROM effects WHERE kind = 'part'")
    assert [part["failure"] for part in parts] == ["superseded"]


async def test_what_may_have_left_is_passed_on_to_staff(talk: Conversation) -> None:
    """They read a note of it; the bot does not say it twice."""

    async def taken(_posted: Posted) -> None:
        await talk.change(Event.TAKEN)

    talk.system.whatsapp.before_answering.append(taken)
    talk.system.whatsapp.failures.append(SendFailed(SendFailureKind.UNKNOWN, "nobody knows"))
    with pytest.raises(ApplicationError):
        await talk.deliver()
    await talk.deliver()  # no status came
    notes = await talk.system.database.rows("SELECT 1 FROM messages WHERE kind = 'note'")
    await talk.change(Event.RELEASED)

    assert (len(notes), len(talk.customer.received)) == (1, 1)
    assert (await talk.held(), (await talk.customer.session())["waiting_messages"]) == (0, 0)


@pytest.mark.parametrize("delivered", [True, False])
async def test_words_of_what_was_done_leave_after_the_release(still: System, *, delivered: bool) -> None:
    """They are not asked for again: a second ticket would be opened."""
    talk = Conversation(still)
    still.perplexity.scripts.append(TICKET)
    await talk.customer.write("My lamp broke")
    await talk.answer()
    await talk.change(Event.TAKEN)
    if delivered:
        await talk.deliver()
    await talk.change(Event.RELEASED)
    await talk.deliver()

    assert talk.customer.received == ["I have opened a ticket for you. Its number is T-1001."]
    assert (await talk.held(), (await talk.customer.session())["waiting_messages"]) == (0, 0)
    assert len(still.perplexity.prompts) == 1


async def test_words_that_are_to_leave_after_all_leave_by_the_same_delivery(still: System) -> None:
    """They surely were not sent while a person took and released the conversation: no sweep is needed."""
    talk = Conversation(still)
    still.perplexity.scripts.append(TICKET)
    await talk.customer.write("My lamp broke")
    await talk.answer()

    async def taken_and_released(_posted: Posted) -> None:
        await talk.change(Event.TAKEN, Event.RELEASED)
        raise SendFailed(SendFailureKind.TRANSIENT, "not reached")

    still.whatsapp.before_answering.append(taken_and_released)
    await until("the end of the delivery", talk.delivered)

    assert talk.customer.received[1:] == ["I have opened a ticket for you. Its number is T-1001."]
    assert await still.database.rows("SELECT text FROM messages WHERE delivery = 'due'") == []


async def test_what_staff_decided_is_told_after_the_release(still: System) -> None:
    config = AssistantConfig(actions=AssistantActions(confirmations={"create_ticket": Confirmation.STAFF}))
    await still.services.configurations.apply("default", config, "test")
    talk = Conversation(still)
    still.perplexity.scripts.append(TICKET)
    await talk.customer.write("My lamp broke")
    await talk.answer()
    await talk.deliver()
    await approve(talk)
    await talk.change(Event.TAKEN)
    await talk.deliver()
    withheld = list(talk.customer.received)
    await talk.change(Event.RELEASED)
    await talk.deliver()

    assert len(withheld) == 1
    assert talk.customer.received[1:] == ["I have opened a ticket for you. Its number is T-1001."]


@pytest.mark.parametrize("answered", [True, False])
async def test_a_template_that_was_withheld_leaves_after_the_release(still: System, *, answered: bool) -> None:
    """It is all that is left of the reply. *answered*: a person's word ends it; a template leaves in place of that."""
    config = AssistantConfig(template=TemplateName(name="we_answered", language="en"))
    await still.services.configurations.apply("default", config, "test")
    talk = Conversation(still)
    await talk.customer.write("What does it cost?", timestamp=stamp(now() - timedelta(hours=25)))
    await talk.answer()
    still.whatsapp.failures.append(SendFailed(SendFailureKind.TRANSIENT, "down", retry_after=0.001))
    assert not await talk.delivered()
    await talk.change(Event.TAKEN)
    await talk.deliver()
    silent = list(still.whatsapp.sent)
    if answered:
        await Outbox(still.database).add(await talk.id, "Ten.", message_id=uuid4(), author="agent", author_name="Ann")
    await talk.change(Event.RELEASED)
    await until("all that is due to be sent", talk.delivered, bool)

    assert silent == []
    assert [posted.template is not None for posted in still.whatsapp.sent] == [True]


async def approve(talk: Conversation, *stops: DatabaseStop, approved: bool = True) -> None:
    [question] = (await talk.customer.session())["questions"]
    by = await Actions(talk.system.database).hand_in(await talk.id, approved=approved, who="Ann")
    decision = ApprovalDecision(digest=question["digest"], approved=approved, by=by, conversation_id=await talk.id)
    async with activities(talk.system, *stops) as does:
        await ActivityEnvironment().run(does.actions.resolve_approval, decision)
