"""A yes in plain words means our newest words to the customer: a question's, if all of it was sent, and none follow."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from temporalio.testing import ActivityEnvironment

from integrations.channels.failures import SendFailed, SendFailureKind
from integrations.whatsapp.double import Posted
from integrations.whatsapp.port import ProviderLimits
from schemas.actions import Confirmation
from schemas.conversations import ApprovalDecision
from tests.integration.test_over import ASKS_TO_CANCEL, CANCELS, NO_ANSWER, asked, configure, settled, whole_turn
from tests.integration.test_unsaid import TICKET, Conversation, still
from tests.support.attempts import activities
from tests.support.clock import now, stamp
from tests.system_in_process import System
from tests.whatsapp_bodies import message, payload
from tests.whatsapp_customer import post, written

__all__ = ["still"]

IN_TWO_PARTS = ProviderLimits(text_units=4_096, button_text_units=20, buttons=3)
FAILED, BUSY = (
    SendFailed(SendFailureKind.RECIPIENT_FINAL, "no such number"),
    SendFailed(SendFailureKind.TRANSIENT, "down", retry_after=3_600.0),
)


@pytest.fixture
async def talk(still: System) -> Conversation:
    """A customer who was asked whether their order is to be cancelled; a ticket of theirs waits for staff."""
    talk = await asked(still, TICKET, by=Confirmation.STAFF)
    await talk.deliver()
    await asks(talk)
    return talk


async def asks(talk: Conversation) -> None:
    talk.system.perplexity.scripts.append(CANCELS)
    await talk.customer.write("What happens if I cancel my order?")
    talk.cursor = await whole_turn(talk.system, await talk.id, talk.cursor)
    await talk.delivered()


async def called_after(talk: Conversation, words: str = "yes", choice: int | None = None) -> list[str]:
    """The calls that follow the customer's words, or a press of the question's button, some seconds from now."""
    later = {"timestamp": stamp(now() + timedelta(seconds=3))}
    if choice is None:
        await talk.customer.write(words, **later)
    else:
        [question] = [posted for posted in talk.system.whatsapp.sent if posted.choices]
        button = {"id": question.choices[choice].id, "title": question.choices[choice].title}
        pressed = {"type": "button_reply", "button_reply": button}
        await talk.customer.send(written("", type="interactive", text=None, interactive=pressed, **later))
    await whole_turn(talk.system, await talk.id, talk.cursor)
    return [name for name, *_ in talk.system.endpoints.calls]


async def staff_write(talk: Conversation) -> None:
    address = f"/api/session/{talk.customer.phone}/messages?channel=whatsapp"
    said = {"text": "Ann here. Shall we keep the order and deliver it tomorrow instead?", "agent_name": "Ann"}
    (await talk.system.http.post(address, json=said)).raise_for_status()
    await talk.delivered()


async def staff_write_on_the_phone(talk: Conversation) -> None:
    echo = message(**{"from": "15550783881"}, to=talk.customer.phone, id="wamid.echo", text={"body": "Ann here. OK?"})
    body = payload(message_echoes=[echo])
    body["entry"][0]["changes"][0]["field"] = "smb_message_echoes"
    await post(talk.system, body)


async def _staff_decline(talk: Conversation) -> None:
    """The ticket, of which the customer is told."""
    [ticket] = await talk.system.database.rows("SELECT digest FROM actions WHERE confirmation_by = 'staff'")
    decision = ApprovalDecision(digest=ticket["digest"], approved=False, conversation_id=await talk.id)
    async with activities(talk.system) as does:
        await ActivityEnvironment().run(does.actions.resolve_approval, decision)
    await talk.deliver()


WORDS = [staff_write, staff_write_on_the_phone, _staff_decline]


async def test_a_yes_to_the_question_counts(talk: Conversation) -> None:
    assert await called_after(talk) == ["cancel_order"]


@pytest.mark.parametrize("speaks", WORDS)
async def test_a_yes_after_other_words_of_ours_is_the_models(
    talk: Conversation, speaks: Callable[[Conversation], Awaitable[None]]
) -> None:
    await speaks(talk)

    assert await called_after(talk, "ok") == []
    assert "the customer was asked to confirm" in talk.system.perplexity.prompts[-1].text


@pytest.mark.parametrize("speaks", WORDS)
async def test_the_questions_own_button_counts_after_them(
    talk: Conversation, speaks: Callable[[Conversation], Awaitable[None]]
) -> None:
    await speaks(talk)

    assert await called_after(talk, choice=0) == ["cancel_order"]


async def test_other_words_of_ours_that_failed_leave_no_doubt(talk: Conversation) -> None:
    talk.system.whatsapp.failures.append(FAILED)
    await staff_write(talk)

    assert await called_after(talk) == ["cancel_order"]


async def test_other_words_of_which_nobody_knows_leave_doubt(talk: Conversation) -> None:
    talk.system.whatsapp.failures.append(NO_ANSWER)
    await staff_write(talk)

    assert await called_after(talk) == []


async def test_an_ok_to_our_answer_to_what_came_while_the_question_was_made_is_the_models(still: System) -> None:
    """They took their wish back, the question came all the same, and the ok is to the words after it."""
    await configure(still)
    still.perplexity.scripts.append(CANCELS)
    still.perplexity.gate.clear()
    talk = Conversation(still)
    await talk.customer.write("Cancel my order")
    first = asyncio.create_task(talk.answer())
    await still.until_asked(1)
    await talk.customer.write("No wait, do not cancel it!")
    still.perplexity.gate.set()
    await first
    await talk.deliver()
    still.perplexity.scripts.append("All right, I will not cancel it.")
    await talk.answer()
    await talk.deliver()

    assert talk.customer.received == [ASKS_TO_CANCEL, "All right, I will not cancel it."]
    assert await called_after(talk, "ok") == []


@pytest.mark.parametrize(("failure", "called"), [(FAILED, []), (BUSY, []), (NO_ANSWER, []), (None, ["cancel_order"])])
async def test_a_yes_counts_once_the_channel_has_all_parts(
    still: System, failure: SendFailed | None, called: list[str]
) -> None:
    still.whatsapp.limits = IN_TWO_PARTS
    talk = await asked(still, CANCELS)

    async def then_fails(_first: Posted) -> None:
        still.whatsapp.failures.extend([failure] if failure else [])

    still.whatsapp.before_answering.append(then_fails)
    await talk.delivered()

    assert len(talk.customer.received) >= 1
    assert await called_after(talk) == called


async def test_a_yes_to_a_question_of_which_a_part_was_deleted_is_the_models(still: System) -> None:
    still.whatsapp.limits = IN_TWO_PARTS
    talk = await asked(still, CANCELS)
    await settled(talk)
    await talk.customer.status(still.whatsapp.sent[0], "deleted")

    assert await called_after(talk) == []


@pytest.mark.parametrize("speaks", WORDS)
async def test_a_yes_that_quotes_the_question_counts_after_them(
    talk: Conversation, speaks: Callable[[Conversation], Awaitable[None]]
) -> None:
    [question] = [posted for posted in talk.system.whatsapp.sent if posted.choices]
    await speaks(talk)
    await talk.customer.write(
        "yes", timestamp=stamp(now() + timedelta(seconds=3)), context={"id": question.channel_message_id}
    )

    await whole_turn(talk.system, await talk.id, talk.cursor)

    assert [name for name, *_ in talk.system.endpoints.calls] == ["cancel_order"]


async def test_a_yes_that_may_mean_other_words_leaves_the_question_open(still: System) -> None:
    """As it does by default where anything else ends it: the words may have asked for that yes."""
    talk = await asked(still, CANCELS)
    await talk.delivered()
    await staff_write(talk)
    await called_after(talk, "ok")
    talk.cursor += 1
    await talk.delivered()

    assert await called_after(talk, choice=0) == ["cancel_order"]
