"""What goes on beside a question: the customer is kept company, and the files they sent are fetched."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from activities.attending import Attending
from activities.bots import Bot
from activities.fetching import Fetching
from storage.turns import ClaimedTurn


class Company:
    def __init__(self, attending: Attending, fetching: Fetching) -> None:
        self._attending = attending
        self._fetching = fetching

    @asynccontextmanager
    async def beside(self, turn: ClaimedTurn, bot: Bot) -> AsyncIterator[None]:
        """At work until the block ends; none of it costs the customer the answer."""
        async with self._attending.beside(turn, bot), self._fetching.beside(turn.conversation_id, turn.messages):
            yield

    async def fetch_files(self, turn: ClaimedTurn) -> None:
        """Fetches what came with messages that a human will answer: no question goes on meanwhile."""
        if any(message.has_media for message in turn.messages):
            await self._fetching.fetch_due(conversation_id=turn.conversation_id)

    async def while_waiting(self, turn: ClaimedTurn, bot: Bot) -> None:
        """Tells a customer whose turn waits for its account, once, after STILL_WORKING_SECONDS."""
        await self._attending.while_waiting(turn, bot)
