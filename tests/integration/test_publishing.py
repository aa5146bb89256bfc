"""The live view of an answer: what ends while an event is being written is not written again."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

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


async def test_an_end_that_meets_an_event_under_way_says_it_once() -> None:
    events = SlowEvents()
    turn = SimpleNamespace(
        attempt=1, times_asked=0, step=0, conversation_id=UUID(int=0), first_seq=1, last_claimed_seq=1, owner_version=0
    )

    async with publishing(cast(StreamEvents, events), cast(ClaimedTurn, turn), 0.05) as publisher:
        publisher.show("Your order is")
        await within("the first event", events.begun.wait(), lambda: events.kept)
        publisher.show("Your order is cancelled.")

    assert "".join(event.text for event in events.kept) == "Your order is cancelled."
