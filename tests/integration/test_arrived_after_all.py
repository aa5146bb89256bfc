"""A reply of unknown outcome, withheld at a take-over, that a status then tells to have arrived: it is told."""

from __future__ import annotations

import pytest

from integrations.channels.failures import SendFailed, SendFailureKind
from integrations.whatsapp.double import Posted
from schemas.transitions import Event
from tests.integration.test_unsaid import Conversation, still
from tests.system_in_process import System

__all__ = ["still"]


@pytest.fixture
async def talk(still: System) -> Conversation:
    """A person took it while the reply was out; nobody knows whether that arrived, so it is withheld."""
    talk = Conversation(still)
    await talk.customer.write("What does it cost?")
    await talk.answer()

    async def take(_posted: Posted) -> None:
        await talk.change(Event.TAKEN)

    still.whatsapp.before_answering.append(take)
    still.whatsapp.failures.append(SendFailed(SendFailureKind.UNKNOWN, "no answer"))
    assert not await talk.delivered()
    assert await talk.delivered()
    return talk


@pytest.mark.parametrize("status", ["sent", "delivered", "read"])
@pytest.mark.parametrize("released_before", [True, False])
async def test_its_question_is_not_answered_once_more(
    still: System, talk: Conversation, status: str, *, released_before: bool
) -> None:
    [posted] = still.whatsapp.sent
    if released_before:
        await talk.change(Event.RELEASED)
    await talk.customer.status(posted, status)
    settled = [tuple(reply.values()) for reply in await talk.replies()]
    held = await talk.held()
    await talk.change(*([Event.TAKEN] if released_before else []), Event.RELEASED)

    session = await talk.customer.session()
    assert (held, session["held"], session["waiting_messages"]) == (0, 0, 0)
    assert settled == [(posted.text, "done")]
    assert (len(still.perplexity.prompts), len(talk.customer.received)) == (1, 1)
