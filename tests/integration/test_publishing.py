"""The live view of an answer: what ends while an event is being written is not written again."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from activities.turn_steps.streaming import publishing
from storage.streams import StreamEvent, StreamEvents
from storage.turns import ClaimedTurn
from tests.support.waiting import within


class SlowEvents:
    """Keeps events, each a moment after it was asked to."""

    def __init__(self) -> None:
        self.kept: list[StreamEvent] = []
        self.begun = asyncio.Event()

    async def add(self, *arguments: Any, **_: Any) -> None:
        self.kept.append(arguments[-1])
        self.begun.set()
        await asyncio.sleep(0)


TURN = SimpleNamespace(
    attempt=1, times_asked=0, step=0, conversation_id=UUID(int=0), first_seq=1, last_claimed_seq=1, owner_version=0
)


async def published(shown: str, final: str) -> list[tuple[str, str]]:
    """The events of an answer that is shown as *shown*, and as *final* in the end."""
    events = SlowEvents()
    async with publishing(cast(StreamEvents, events), cast(ClaimedTurn, TURN), 0) as publisher:
        publisher.show(shown)
        await within("the first event", events.begun.wait(), lambda: events.kept)
        publisher.show(final)
    return [(event.kind, event.text) for event in events.kept]


@pytest.mark.parametrize(
    ("shown", "final", "more"),
    [
        ("Open at 9.[2][1] Yes.[12]", "Open at 9.[1][2] Yes.[3]", ""),
        ("Open at 9.[2]", "Open at 9.[1] Also on Sundays.[2]", " Also on Sundays.[2]"),
        ("Open at 9.[2", "Open at 9.[1][2]", "][2]"),
        ("Open at 9.[2][", "Open at 9.[1][2] Yes.", "2] Yes."),
    ],
)
async def test_renumbered_citations_are_taken_back_once_at_the_end(shown: str, final: str, more: str) -> None:
    """What a reader has appended is the reply, its numbers too; nothing flashes while it is written."""
    assert await published(shown, final) == [
        ("chunk", shown),
        *([("chunk", more)] if more else []),
        ("reset", ""),
        ("chunk", final),
    ]


@pytest.mark.parametrize(
    ("shown", "final"),
    [
        ("Open at 9.[2]", "Open at 10.[1]"),
        ("Open at 9.[2]", "Open at 9."),
        ("Open at 9.[2] Yes", "Open at 9.[1] No"),
        ("Open [2]at 9.", "Open at 9.[1]"),
        ("Open at 9.[2", "Open at 9. Yes.[1]"),
        ("Open at 9.[2] [1] Yes", "Open [1] at 9.[2] Yes"),
    ],
)
async def test_another_text_begins_anew(shown: str, final: str) -> None:
    assert await published(shown, final) == [("chunk", shown), ("reset", ""), ("chunk", final)]


async def test_an_end_that_meets_an_event_under_way_says_it_once() -> None:
    events = SlowEvents()

    async with publishing(cast(StreamEvents, events), cast(ClaimedTurn, TURN), 0.05) as publisher:
        publisher.show("Your order is")
        await within("the first event", events.begun.wait(), lambda: events.kept)
        publisher.show("Your order is cancelled.")

    assert "".join(event.text for event in events.kept) == "Your order is cancelled."
