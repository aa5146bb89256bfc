"""Words that an action waits for a yes, the customer's or staff's, never leave once it does no more, whoever ended it;
what came of it is told once, and what was done before is not denied."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from integrations.channels.failures import SendFailed, SendFailureKind
from schemas.actions import AssistantActions, Confirmation, Endpoint
from schemas.assistants import AssistantConfig, Texts
from schemas.conversations import ApprovalDecision, NextStep, Thread, TurnRequest
from schemas.standing import Owner
from schemas.transitions import Event
from tests.integration.test_moved_questions import ask, deliver, going_on
from tests.integration.test_promises import ASKED, DECLINED, EXPIRED, OPENED, let_pass, promised
from tests.integration.test_unsaid import TICKET, Conversation, approve, still
from tests.person_with_two_keys import Person, conversations
from tests.support.attempts import activities, answer, perform
from tests.support.clock import now, stamp
from tests.support.shop import BOOK, CANCEL, output
from tests.support.stopping_database import DatabaseStop
from tests.support.waiting import within
from tests.system_in_process import System
from tests.whatsapp_customer import written

__all__ = ["promised", "still"]

PAY = Endpoint(
    name="pay", description="Pays 500 ringgit", method="POST", url="https://shop.example/pay", destructive=True
)
INVOICE = Endpoint(
    name="invoice", description="Invoices", method="POST", url="https://shop.example", confirmation=Confirmation.STAFF
)
BOOKS, CANCELS, PAYS, INVOICES = (
    output("api_call", endpoint=name, params={}) for name in ("book", "cancel_order", "pay", "invoice")
)
ASKS_TO_CANCEL = "Shall I do this: Cancels?\nPlease answer yes or no."
ASKS_TO_PAY = "Shall I do this: Pays 500 ringgit?\nPlease answer yes or no."
DONE, PARTLY, DROPPED = Texts().action_done, Texts().partly_done, Texts().dropped
NOT_TAKEN = SendFailed(SendFailureKind.TRANSIENT, "down", retry_after=0.001)
NO_ANSWER = SendFailed(SendFailureKind.UNKNOWN, "no answer")
FAILED = 131000


async def configure(system: System, by: Confirmation = Confirmation.NONE) -> None:
    """*by*: who has to agree to a ticket."""
    actions = AssistantActions(endpoints=(BOOK, CANCEL, PAY, INVOICE), confirmations={"create_ticket": by})
    await system.services.configurations.apply("default", AssistantConfig(actions=actions), "test")


async def whole_turn(system: System, conversation_id: UUID, cursor: int, thread: Thread | None = None) -> int:
    """Its actions included; the cursor after it."""
    thread = thread or Thread(frontend_context_uuid=uuid4())
    request = TurnRequest(conversation_id=conversation_id, cursor=cursor, thread=thread)
    async with activities(system) as does:
        outcome = await answer(does, request)
        while outcome.step is not NextStep.FINISHED:
            performs = outcome.step is NextStep.PERFORM
            outcome = await (perform(does, request, outcome) if performs else answer(does, request))
    return outcome.cursor


async def asked(system: System, *outputs: str, by: Confirmation = Confirmation.NONE) -> Conversation:
    """A customer's conversation in which the last of *outputs* asks for a yes; those before are done."""
    await configure(system, by)
    talk = Conversation(system)
    system.perplexity.scripts.extend(outputs)
    await talk.customer.write("Please")
    talk.cursor = await whole_turn(system, await talk.id, 0)
    return talk


async def settled(talk: Conversation) -> None:
    """All that is due is sent, as far as it may leave: a resend, and what the channel did not take, included."""
    for _ in range(4):
        await talk.delivered()


async def end(talk: Conversation, how: str) -> None:
    await (let_pass(talk) if how == "expired" else approve(talk, approved=how == "approved"))


CAME_OF_IT = {"expired": EXPIRED, "approved": OPENED, "declined": DECLINED}


@pytest.mark.parametrize("how", CAME_OF_IT)
@pytest.mark.parametrize("failure", [None, NO_ANSWER])
async def test_a_promise_that_failed_late_is_not_made_again_after_the_release(
    promised: Conversation, how: str, failure: SendFailed | None
) -> None:
    """The channel had taken it, or nobody knew; what staff decided under a person is told in its place."""
    channel = promised.system.whatsapp
    channel.failures.extend([failure] if failure else [])
    await promised.delivered()
    [posted] = channel.sent
    channel.sent.clear()
    await promised.change(Event.TAKEN)
    await settled(promised)
    await end(promised, how)
    await promised.customer.status(posted, "failed", FAILED)
    await settled(promised)
    await promised.change(Event.RELEASED)
    await settled(promised)

    assert promised.customer.received == [CAME_OF_IT[how]]
    assert (await promised.held(), (await promised.customer.session())["waiting_messages"]) == (0, 0)


@pytest.mark.parametrize("how", CAME_OF_IT)
async def test_a_promise_that_was_not_taken_under_a_person_is_not_made_after_the_release(
    promised: Conversation, how: str
) -> None:
    channel = promised.system.whatsapp
    channel.failures.append(NOT_TAKEN)
    channel.gate.clear()
    sending = asyncio.create_task(promised.delivered())
    await within("the request", channel.held.wait(), lambda: promised.customer.received)
    await promised.change(Event.TAKEN)
    await end(promised, how)
    channel.gate.set()
    await sending
    await settled(promised)
    await promised.change(Event.RELEASED)
    await settled(promised)

    assert promised.customer.received == [CAME_OF_IT[how]]
    assert (await promised.held(), (await promised.customer.session())["waiting_messages"]) == (0, 0)


@pytest.mark.parametrize("how", CAME_OF_IT)
@pytest.mark.parametrize("person_wrote", [False, True])
async def test_what_came_of_a_promise_that_left_is_told_once_the_bot_has_it_again(
    promised: Conversation, how: str, *, person_wrote: bool
) -> None:
    """Unless the person has written since, who has read of it."""
    await settled(promised)
    await promised.change(Event.TAKEN)
    await end(promised, how)
    held = await promised.held()
    if person_wrote:
        address = f"/api/session/{promised.customer.phone}/messages?channel=whatsapp"
        (await promised.system.http.post(address, json={"text": "I saw it.", "agent_name": "Ann"})).raise_for_status()
    await promised.change(Event.RELEASED, Event.RELEASED)
    await settled(promised)

    assert held == 1
    assert promised.customer.received == [ASKED, "I saw it." if person_wrote else CAME_OF_IT[how]]
    assert (await promised.held(), (await promised.customer.session())["waiting_messages"]) == (0, 0)


async def test_a_promise_that_a_reset_ended_is_not_made(promised: Conversation) -> None:
    """Nobody will ever tell; their message does not end in silence for that."""
    promised.system.whatsapp.failures.append(NOT_TAKEN)
    assert not await promised.delivered()
    await promised.change(Event.RESET)
    await settled(promised)

    assert promised.customer.received == [DROPPED]


@pytest.mark.parametrize("event", [Event.RESET, Event.CLOSED, Event.RELEASED])
async def test_a_question_that_others_ended_is_not_put(still: System, event: Event) -> None:
    talk = await asked(still, CANCELS)
    await talk.change(event)
    await settled(talk)

    assert talk.customer.received == [DROPPED]


@pytest.mark.parametrize("event", [Event.RESET, Event.CLOSED, Event.RELEASED])
async def test_a_question_that_others_ended_is_not_put_again(still: System, event: Event) -> None:
    """It had left, and failed after its end."""
    talk = await asked(still, CANCELS)
    await settled(talk)
    [posted] = still.whatsapp.sent
    still.whatsapp.sent.clear()
    await talk.change(event)
    await talk.customer.status(posted, "failed", FAILED)
    await settled(talk)

    assert talk.customer.received == [DROPPED]


async def test_a_question_that_a_person_ended_is_asked_about_anew(still: System) -> None:
    talk = await asked(still, CANCELS)
    await talk.change(Event.TAKEN)
    await settled(talk)
    held = await talk.held()
    await talk.change(Event.RELEASED)
    await settled(talk)
    await whole_turn(still, await talk.id, talk.cursor)
    await settled(talk)

    assert (held, talk.customer.received) == (1, ["You said: Please"])


@pytest.mark.parametrize("staff", [False, True])
@pytest.mark.parametrize("taken", [False, True])
async def test_what_was_done_before_it_is_told_in_its_place(still: System, *, staff: bool, taken: bool) -> None:
    """A booking, and then the question, or the approval, which a take-over, a release or a reset ends."""
    talk = await asked(still, BOOKS, TICKET if staff else CANCELS, by=Confirmation.STAFF)
    if taken:
        await talk.change(Event.TAKEN)
        await settled(talk)
        assert await talk.held() == 1
    await talk.change(Event.RESET if staff else Event.RELEASED)
    await settled(talk)

    assert talk.customer.received == [DONE]
    assert [name for name, *_ in still.endpoints.calls] == ["book"]
    assert (await talk.held(), (await talk.customer.session())["waiting_messages"]) == (0, 0)


@pytest.mark.parametrize("how", ["expired", "declined", "refused"])
@pytest.mark.parametrize("taken", [False, True])
async def test_what_was_done_before_it_is_not_denied(still: System, how: str, *, taken: bool) -> None:
    talk = await asked(still, BOOKS, TICKET, by=Confirmation.STAFF)
    if taken:
        await talk.change(Event.TAKEN)
    await settled(talk)
    if how == "refused":
        left = AssistantConfig(actions=AssistantActions(enabled=("handoff_support",)))
        await still.services.configurations.apply("default", left, "test")
    await end(talk, "approved" if how == "refused" else how)
    if taken:
        await talk.change(Event.RELEASED)
    await settled(talk)

    assert talk.customer.received == ([] if taken else [ASKED]) + [PARTLY]


async def yes(talk: Conversation) -> None:
    """Written when all that was sent can have been read."""
    await talk.customer.write("yes", timestamp=stamp(now() + timedelta(seconds=2)))
    await whole_turn(talk.system, await talk.id, talk.cursor)


async def test_a_question_is_not_put_again_behind_the_one_that_took_its_place(still: System) -> None:
    """Its first send failed late: the customer would say yes to it, and the other would be done."""
    talk = await asked(still, CANCELS)
    await settled(talk)
    [first] = still.whatsapp.sent
    still.whatsapp.sent.clear()
    still.perplexity.scripts.append(PAYS)
    await talk.customer.write("And pay my bill")
    await talk.answer()
    await talk.deliver()
    await talk.customer.status(first, "failed", FAILED)
    await settled(talk)
    await yes(talk)

    assert talk.customer.received == [ASKS_TO_PAY]
    assert [name for name, *_ in still.endpoints.calls] == ["pay"]


async def two_questions(still: System, *, newer_leaves: bool = True) -> Person:
    """In two conversations of one customer; the newer has left, or neither."""
    await configure(still)
    person = Person(still)
    await person.by_phone("Cancel my order")
    await person.by_id("Pay it")
    older, newer = await conversations(still)
    for conversation, wanted in ((older, CANCELS), (newer, PAYS)):
        still.perplexity.scripts.append(wanted)
        await ask(still, conversation)
    if newer_leaves:
        await deliver(still, newer)
    return person


async def test_of_two_questions_that_a_merge_brings_together_the_older_is_not_put(still: System) -> None:
    person = await two_questions(still)
    await person.reacts_with_both()
    await deliver(still, await going_on(still))

    assert person.sent == [ASKS_TO_PAY]


async def test_of_two_that_have_not_left_the_older_is_told_to_be_over_before_the_newer_is_put(still: System) -> None:
    """Its message does not end in silence, and what is said of it is not taken for the newer."""
    person = await two_questions(still, newer_leaves=False)
    await person.reacts_with_both()
    await deliver(still, await going_on(still))

    assert person.sent == [DROPPED, ASKS_TO_PAY]


async def test_a_plain_yes_is_to_the_question_that_was_sent_last(still: System) -> None:
    """It was sent before the merge, and ended with it: of what the yes means the model is asked."""
    person = await two_questions(still)
    await deliver(still, (await conversations(still))[0])
    await person.reacts_with_both()
    one: dict[str, Any] = await going_on(still)
    await person.with_both("yes")
    await whole_turn(still, one["id"], one["cursor"])

    assert person.sent[:2] == [ASKS_TO_PAY, ASKS_TO_CANCEL]
    assert still.endpoints.calls == []


@pytest.mark.parametrize("how", ["approved", "expired"])
async def test_a_sender_that_read_them_before_the_end_does_not_begin(promised: Conversation, how: str) -> None:
    begin = DatabaseStop("SELECT * FROM effects WHERE key = :key FOR UPDATE")
    sending = asyncio.create_task(promised.deliver(begin))
    await within("the claim", begin.reached.wait(), lambda: promised.customer.received)
    await end(promised, how)
    begin.released.set()
    await sending
    await settled(promised)

    assert promised.customer.received == [CAME_OF_IT[how]]


async def test_it_cannot_be_sent_again_by_hand(promised: Conversation) -> None:
    promised.system.whatsapp.failures.append(SendFailed(SendFailureKind.RECIPIENT_FINAL, "not there"))
    await promised.delivered()
    [failed] = await promised.system.database.rows("SELECT id FROM deliveries WHERE status = 'failed'")
    await promised.change(Event.RESET)
    response = await promised.system.http.post(f"/api/deliveries/{failed['id']}/resend", json={"asked_by": "Ann"})

    assert response.status_code == 409


async def test_a_moved_question_expires_in_the_words_of_who_asked(still: System) -> None:
    talk = await asked(still, CANCELS)
    await settled(talk)
    theirs = AssistantConfig(texts=Texts(expired="Zu spät."))
    await still.services.configurations.apply("other", theirs, "test")
    await still.database.rows("UPDATE actions SET assistant = 'other'")
    await let_pass(talk)
    await settled(talk)

    assert talk.customer.received == [ASKS_TO_CANCEL, "Zu spät."]


async def test_its_old_button_denies_nothing_that_its_turn_did(still: System) -> None:
    """The booking before the question stands; the customer heard of it when the question expired."""
    talk = await asked(still, BOOKS, CANCELS)
    await settled(talk)
    yes_button = still.whatsapp.sent[-1].choices[0]
    await let_pass(talk)
    await settled(talk)
    pressed = {"type": "button_reply", "button_reply": {"id": yes_button.id, "title": "Yes"}}
    await talk.customer.send(written("", type="interactive", text=None, interactive=pressed))
    await whole_turn(still, await talk.id, talk.cursor)
    await settled(talk)

    assert talk.customer.received == [ASKS_TO_CANCEL, PARTLY, PARTLY]


async def approve_in(system: System, conversation_id: UUID, *stops: DatabaseStop) -> None:
    [action] = await system.database.rows("SELECT digest FROM actions")
    decision = ApprovalDecision(digest=action["digest"], approved=True, conversation_id=conversation_id)
    async with activities(system, *stops) as does:
        await ActivityEnvironment().run(does.actions.resolve_approval, decision)


async def test_who_has_the_conversation_that_goes_on_reads_what_staff_decided_in_the_merged_one(still: System) -> None:
    """It is merged between the decision and its words."""
    await configure(still, Confirmation.STAFF)
    person = Person(still)
    await person.by_phone("Hello")
    still.perplexity.scripts.extend(["Hello", TICKET])
    await person.by_id("My lamp broke")
    one, other = await conversations(still)
    for conversation in (one, other):
        await ask(still, conversation)
        await deliver(still, conversation)
    talk = Conversation(still)
    await talk.change(Event.TAKEN)
    tell = DatabaseStop("tell_decision(")
    deciding = asyncio.create_task(approve_in(still, other["id"], tell))
    await within("the words", tell.reached.wait(), lambda: person.sent)
    await person.reacts_with_both()
    tell.released.set()
    await deciding
    with suppress(ApplicationError):
        await deliver(still, other)

    going = await going_on(still)
    noted = "SELECT text FROM messages WHERE kind = 'note' AND conversation_id = :id"
    assert going["owner"] == Owner.HUMAN
    assert [row["text"] for row in await still.database.rows(noted, {"id": going["id"]})] == [OPENED]
    assert OPENED not in person.sent
