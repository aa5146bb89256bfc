"""Replies that did not leave over their channel, for a person took the conversation before: no question is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from integrations.channels.failures import SendFailed, SendFailureKind
from integrations.whatsapp.double import Posted
from schemas.actions import AssistantActions, Confirmation
from schemas.assistants import AssistantConfig
from schemas.conversations import ApprovalDecision, Deliver, Thread, TurnOutcome, TurnRequest
from schemas.transitions import Event
from storage.actions import Actions
from storage.standings import Standings
from tests.support.attempts import activities, answer
from tests.support.shop import output
from tests.system_in_process import System, running_system
from tests.whatsapp_customer import SETTINGS, Customer

TICKET = output("create_ticket", subject="Lamp", description="Broken lamp")
LONG = "\n\n".join(f"Paragraph {number}. " + "Many words of it. " * 50 for number in range(12))


@pytest.fixture
async def still(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    """A system without a worker: the test runs each attempt itself."""
    settings = {**SETTINGS, "delivery_settle_seconds": 0.001}
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

    async def deliver(self) -> None:
        async with activities(self.system) as does:
            await ActivityEnvironment().run(does.delivery.deliver, Deliver(conversation_id=await self.id))

    async def change(self, *events: Event) -> None:
        for event in events:
            await Standings(self.system.database).change(await self.id, event, who="Ann")

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


async def approve(talk: Conversation) -> None:
    [question] = (await talk.customer.session())["questions"]
    by = await Actions(talk.system.database).hand_in(await talk.id, approved=True, who="Ann")
    decision = ApprovalDecision(digest=question["digest"], approved=True, by=by, conversation_id=await talk.id)
    async with activities(talk.system) as does:
        await ActivityEnvironment().run(does.actions.resolve_approval, decision)
