"""A yes in plain words, where something of ours was sent more than once: what may have arrived counts as what did."""

from __future__ import annotations

import pytest

from integrations.channels.failures import SendFailed
from tests.integration.test_over import CANCELS, NO_ANSWER, asked, configure, settled, whole_turn
from tests.integration.test_unsaid import Conversation, still
from tests.integration.test_yes_to_our_newest_words import (
    BUSY,
    FAILED,
    asks,
    called_after,
    staff_write,
    staff_write_on_the_phone,
)
from tests.system_in_process import System

__all__ = ["still"]


@pytest.mark.parametrize("then", [BUSY, FAILED])
async def test_other_words_that_may_have_arrived_leave_doubt_whatever_their_resend_came_to(
    still: System, then: SendFailed
) -> None:
    talk = await asked(still, CANCELS)
    await talk.delivered()
    still.whatsapp.failures.extend([NO_ANSWER, then])
    await staff_write(talk)
    await talk.delivered()

    assert len(still.whatsapp.sent) == 2
    assert await called_after(talk, "ok") == []


@pytest.mark.parametrize("then", [BUSY, NO_ANSWER])
async def test_other_words_after_a_question_leave_doubt_whatever_its_resend_came_to(
    still: System, then: SendFailed
) -> None:
    """The first copy arrived, a person wrote on the phone itself, and the second copy never arrived."""
    talk = await asked(still, CANCELS)
    still.whatsapp.failures.extend([NO_ANSWER, then])
    await talk.delivered()
    [first] = still.whatsapp.sent
    await staff_write_on_the_phone(talk)
    await talk.delivered()
    await talk.customer.status(first, "delivered")

    assert await called_after(talk, "ok") == []


async def test_a_question_that_was_sent_twice_is_answered_with_a_yes_where_nothing_came_between(still: System) -> None:
    talk = await asked(still, CANCELS)
    still.whatsapp.failures.append(NO_ANSWER)
    await settled(talk)

    assert len(still.whatsapp.sent) == 2
    assert await called_after(talk) == ["cancel_order"]


async def test_an_older_answer_that_arrives_after_the_question_leaves_doubt(still: System) -> None:
    """Its first send failed, so the customer reads it as our newest words."""
    talk = Conversation(still)
    await configure(still)
    still.perplexity.scripts.append("Would you like it in blue instead?")
    await talk.customer.write("Do you have it in green?")
    talk.cursor = await whole_turn(still, await talk.id, 0)
    await talk.deliver()
    older = still.whatsapp.sent[-1]
    await asks(talk)
    await talk.customer.status(older, "failed", 131000)
    await settled(talk)

    assert talk.customer.received[-1] == older.text
    assert await called_after(talk, "ok") == []
