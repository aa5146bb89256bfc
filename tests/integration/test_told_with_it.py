"""A turn's earlier effects, of which no words said anything, are told with what came of its last action."""

from __future__ import annotations

import pytest

from integrations.channels.failures import SendFailed, SendFailureKind
from integrations.endpoints.port import CallFailureKind, EndpointFailed
from schemas.actions import AssistantActions, Confirmation
from schemas.assistants import AssistantConfig, Texts
from schemas.transitions import Event
from tests.integration.test_over import BOOKS, CANCELS, DONE, INVOICES, PARTLY, asked, settled, whole_turn, yes
from tests.integration.test_promises import ASKED, OPENED
from tests.integration.test_unsaid import TICKET, Conversation, approve, still
from tests.support.shop import BOOK, output
from tests.support.waiting import until
from tests.system_in_process import System
from tests.whatsapp_customer import written

__all__ = ["still"]


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("taken", [False, True])
async def test_what_was_done_before_an_approval_is_told_with_it(still: System, *, left: bool, taken: bool) -> None:
    """Once: no words said so, whether or not those that a colleague has to agree have left."""
    talk = await asked(still, BOOKS, TICKET, by=Confirmation.STAFF)
    if left:
        await settled(talk)
    if taken:
        await talk.change(Event.TAKEN)
    await approve(talk)
    await settled(talk)
    if taken:
        await talk.change(Event.RELEASED)
        await settled(talk)

    assert talk.customer.received == ([ASKED] if left else []) + [f"{DONE}\n\n{OPENED}"]
    assert (await talk.held(), (await talk.customer.session())["waiting_messages"]) == (0, 0)


async def test_what_was_done_before_an_action_without_words_of_the_model_is_told_with_it(still: System) -> None:
    talk = await asked(still, BOOKS, TICKET)
    await settled(talk)

    assert talk.customer.received == [f"{DONE}\n\n{OPENED}"]


async def test_what_is_done_in_the_same_words_is_told_once(still: System) -> None:
    talk = await asked(still, BOOKS, INVOICES)
    await approve(talk)
    await settled(talk)

    assert talk.customer.received == [DONE]


async def test_what_was_done_before_a_question_is_found_wherever_the_yes_is_accepted(still: System) -> None:
    """The conversation in which it was asked has been merged twice by then."""
    talk = await asked(still, BOOKS, CANCELS)
    await settled(talk)

    assert [row["something_done"] for row in await still.database.rows(_BESIDE)] == [True]


_BESIDE = """
SELECT beside.something_done FROM actions a CROSS JOIN LATERAL effects_beside(jsonb_populate_record(
    a, jsonb_build_object('conversation_id', gen_random_uuid(), 'turn_id', gen_random_uuid()))) AS beside
 WHERE a.status = 'awaiting_confirmation'
"""


@pytest.mark.parametrize("fails", [False, True])
async def test_what_was_done_before_a_question_is_told_with_what_came_of_the_yes(still: System, *, fails: bool) -> None:
    """The question said nothing of it; a failure after the yes changed nothing, but for that."""
    talk = await asked(still, BOOKS, CANCELS if fails else TICKET, by=Confirmation.CUSTOMER)
    await settled(talk)
    if fails:
        still.endpoints.outcomes.append(EndpointFailed(CallFailureKind.FAILED, "no"))
    await yes(talk)
    await settled(talk)

    assert talk.customer.received[1:] == [PARTLY if fails else f"{DONE}\n\n{OPENED}"]


HANDS_OVER = output("handoff_support", summary="Wants a person")


async def asked_under(still: System, actions: AssistantActions, *outputs: str) -> Conversation:
    await still.services.configurations.apply("default", AssistantConfig(actions=actions), "test")
    talk = Conversation(still)
    still.perplexity.scripts.extend(outputs)
    await talk.customer.write("Please")
    talk.cursor = await whole_turn(still, await talk.id, 0, talk.thread)
    return talk


@pytest.mark.parametrize("arrives", [True, False])
async def test_what_the_model_could_tell_meanwhile_is_not_told_once_more(still: System, *, arrives: bool) -> None:
    """The question stayed open; where the answer did not arrive, what was done is told with the yes."""
    confirmations = {"create_ticket": Confirmation.CUSTOMER}
    actions = AssistantActions(endpoints=(BOOK,), confirmations=confirmations, unclear_answer="keep")
    talk = await asked_under(still, actions, BOOKS, TICKET)
    await until("the question", talk.delivered)
    yes_button = still.whatsapp.sent[-1].choices[0]
    still.perplexity.scripts.append("It is booked for Monday.")
    await talk.customer.write("When is it?")
    talk.cursor = await whole_turn(still, await talk.id, talk.cursor, talk.thread)
    still.whatsapp.failures.extend([] if arrives else [SendFailed(SendFailureKind.RECIPIENT_FINAL, "not there")])
    await until("the answer", talk.delivered)
    pressed = {"type": "button_reply", "button_reply": {"id": yes_button.id, "title": "Yes"}}
    await talk.customer.send(written("", type="interactive", text=None, interactive=pressed))
    await whole_turn(still, await talk.id, talk.cursor)
    await until("what came of it", talk.delivered)

    told = ["It is booked for Monday.", OPENED] if arrives else [f"{DONE}\n\n{OPENED}"]
    assert talk.customer.received[1:] == told


@pytest.mark.parametrize(("left", "wrote"), [(True, False), (False, False), (True, True)])
async def test_what_was_done_before_a_handoff_that_is_approved_under_a_person_is_told_once(
    still: System, *, left: bool, wrote: bool
) -> None:
    """The handoff is over with the release; the booking stands. *wrote*: the person, who has read of it."""
    actions = AssistantActions(endpoints=(BOOK,), confirmations={"handoff_support": Confirmation.STAFF})
    talk = await asked_under(still, actions, BOOKS, HANDS_OVER)
    if left:
        await until("the promise", talk.delivered)
    await talk.change(Event.TAKEN)
    await approve(talk)
    notes = await still.database.rows("SELECT text FROM messages WHERE kind = 'note'")
    held = await talk.held()
    if wrote:
        address = f"/api/session/{talk.customer.phone}/messages?channel=whatsapp"
        (await still.http.post(address, json={"text": "I saw it.", "agent_name": "Ann"})).raise_for_status()
    await talk.change(Event.RELEASED, Event.RELEASED)
    await until("what is due", talk.delivered)

    assert ([note["text"] for note in notes], held) == ([f"{DONE}\n\n{Texts().handed_over}"], 1)
    assert talk.customer.received == ([ASKED] if left else []) + ["I saw it." if wrote else DONE]
    assert (await talk.held(), (await talk.customer.session())["waiting_messages"]) == (0, 0)
