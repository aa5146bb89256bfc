"""`delivered` or `read` of any attempt proves that a part arrived, whatever became of it here since."""

from __future__ import annotations

import pytest

from schemas.transitions import Event
from tests.integration.test_unsaid import LONG, TICKET, Conversation, still, talk
from tests.system_in_process import System

__all__ = ["still", "talk"]
FAILED_FOR_NOW, FAILED_FOR_GOOD = 131000, 131026


async def _delivered(talk: Conversation) -> None:
    for _ in range(4):
        await talk.delivered()


async def _notes(talk: Conversation) -> list[str]:
    rows = await talk.system.database.rows("SELECT text FROM messages WHERE kind = 'note' ORDER BY stored_at")
    return [row["text"] for row in rows]


@pytest.mark.parametrize("arrived", ["delivered", "read"])
async def test_a_failure_that_is_followed_by_its_arrival_is_not_sent_again(talk: Conversation, arrived: str) -> None:
    await talk.deliver()
    [posted] = talk.system.whatsapp.sent
    await talk.customer.status(posted, "failed", FAILED_FOR_NOW)
    await talk.customer.status(posted, arrived)
    await _delivered(talk)

    assert len(talk.customer.received) == 1
    assert [row["delivery"] for row in await talk.replies()] == ["done"]


@pytest.mark.parametrize("status", ["sent", "accepted"])
async def test_that_a_failed_attempt_was_sent_says_nothing(talk: Conversation, status: str) -> None:
    await talk.deliver()
    [posted] = talk.system.whatsapp.sent
    await talk.customer.status(posted, "failed", FAILED_FOR_NOW)
    await talk.customer.status(posted, status)
    await _delivered(talk)

    assert len(talk.customer.received) == 2


async def test_what_was_read_and_called_withheld_is_told_no_more(still: System) -> None:
    talk = Conversation(still)
    talk.system.perplexity.scripts.append(TICKET)
    await talk.customer.write("My lamp broke")
    await talk.answer()
    await talk.deliver()
    [posted] = talk.system.whatsapp.sent
    await talk.customer.status(posted, "failed", FAILED_FOR_NOW)
    await talk.change(Event.TAKEN)
    await _delivered(talk)
    held_before = await talk.held()
    await talk.customer.status(posted, "read")
    held = await talk.held()
    await talk.change(Event.RELEASED)
    await _delivered(talk)

    assert (held_before, held) == (1, 0)
    assert len(talk.customer.received) == 1
    assert [row["delivery"] for row in await talk.replies()] == ["done"]


async def test_staff_are_told_that_what_was_given_up_has_arrived(talk: Conversation) -> None:
    """Once, however often the channel says so."""
    await talk.deliver()
    [posted] = talk.system.whatsapp.sent
    await talk.customer.status(posted, "failed", FAILED_FOR_GOOD)
    await _delivered(talk)
    given_up = await _notes(talk)
    await talk.customer.status(posted, "delivered")
    await talk.customer.status(posted, "read")
    await talk.customer.status(posted, "failed", FAILED_FOR_GOOD)

    assert len(given_up) == 1
    assert [note.split(":")[0] for note in await _notes(talk)] == [
        "The last reply could not be delivered",
        "The reply of which a note says that it may not have arrived has arrived after all.",
    ]
    assert len(talk.customer.received) == 1
    [part] = await talk.system.database.rows("SELECT status, failure, error FROM deliveries")
    assert (part["status"], part["failure"], part["error"]) == ("read", None, None)


async def test_staff_are_told_once_all_of_it_has_arrived(still: System) -> None:
    talk = Conversation(still)
    talk.system.perplexity.scripts.append(LONG)
    await talk.customer.write("Tell me all")
    await talk.answer()
    await talk.deliver()
    posted = talk.system.whatsapp.sent
    assert len(posted) > 1
    await talk.customer.status(posted[0], "failed", FAILED_FOR_GOOD)
    await _delivered(talk)
    notes = [len(await _notes(talk))]
    for each in posted:
        await talk.customer.status(each, "delivered")
        notes.append(len(await _notes(talk)))

    assert notes == [1] * len(posted) + [2]
