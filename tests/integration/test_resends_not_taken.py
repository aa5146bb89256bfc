"""A reply of which nobody knows, and whose resend was surely not taken: nobody knows of it still, as staff read."""

from __future__ import annotations

import pytest

from integrations.channels.failures import SendFailed, SendFailureKind
from schemas.transitions import Event
from tests.integration.test_over import ASKS_TO_CANCEL, CANCELS, DROPPED, asked
from tests.integration.test_unsaid import Conversation, still, talk
from tests.system_in_process import System

__all__ = ["still", "talk"]

NO_ANSWER = SendFailed(SendFailureKind.UNKNOWN, "no answer")
REFUSED = SendFailed(SendFailureKind.RECIPIENT_FINAL, "no such number")
BUSY = SendFailed(SendFailureKind.TRANSIENT, "down", retry_after=3_600.0)
NOBODY_KNOWS = "Nobody knows whether the last reply arrived: the channel gave no answer and no status."
NOT_DELIVERED = "The last reply could not be delivered: WhatsApp does not reach this customer."


async def notes(talk: Conversation) -> list[str]:
    rows = await talk.system.database.rows("SELECT text FROM messages WHERE kind = 'note'")
    return [row["text"] for row in rows]


async def status(talk: Conversation) -> str:
    [row] = await talk.system.database.rows("SELECT status FROM effects WHERE kind = 'part'")
    return str(row["status"])


@pytest.mark.parametrize(
    ("before", "known", "told"),
    [([NO_ANSWER], "unknown", NOBODY_KNOWS), ([], "failed", NOT_DELIVERED)],
)
async def test_a_refused_resend_does_not_make_the_first_surely_undone(
    talk: Conversation, before: list[SendFailed], known: str, told: str
) -> None:
    talk.system.whatsapp.failures.extend([*before, REFUSED])
    for _ in range(len(before) + 1):
        await talk.delivered()

    assert (await status(talk), await notes(talk)) == (known, [told])


async def test_outside_the_window_the_first_may_have_arrived_all_the_same(talk: Conversation) -> None:
    talk.system.whatsapp.failures.append(NO_ANSWER)
    await talk.delivered()
    await talk.system.database.rows("UPDATE messages SET sent_at = sent_at - interval '25 hours' WHERE seq = 1")
    await talk.delivered()

    assert (await status(talk), await notes(talk)) == ("unknown", [NOBODY_KNOWS])


async def test_staff_who_take_over_read_that_it_may_have_arrived(talk: Conversation) -> None:
    talk.system.whatsapp.failures.extend([NO_ANSWER, BUSY])
    for _ in range(2):
        await talk.delivered()
    await talk.change(Event.TAKEN)
    await talk.delivered()

    assert (talk.customer.received, await notes(talk)) == (["You said: What does it cost?"], [NOBODY_KNOWS])


async def test_a_question_that_ended_meanwhile_is_said_to_be_over(still: System) -> None:
    """It may have arrived; that it is over is so in any case, and its customer's message does not end in silence."""
    asks = await asked(still, CANCELS)
    still.whatsapp.failures.extend([NO_ANSWER, BUSY])
    for _ in range(2):
        await asks.delivered()
    await asks.change(Event.RESET)
    await asks.delivered()

    assert asks.customer.received == [ASKS_TO_CANCEL, DROPPED]
