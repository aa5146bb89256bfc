"""When a customer writes on while the model answers: the stale question is dropped, and both are asked at once.

Only on channels where people write in bursts, only as the settings allow, only soon after the question was put, and
never after an effect began (then the newer message waits for its own turn).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from activities.asking import Answered, Asking
from activities.failing import Failing
from config.settings import Settings
from schemas.turn_record import Purpose
from storage.database import StorageUnavailable
from storage.turns import ClaimedTurn, Turns


class Yielding:
    """Watches the inbox while a question is out."""

    def __init__(self, turns: Turns, asking: Asking, failing: Failing, settings: Settings) -> None:
        self._turns = turns
        self._asking = asking
        self._failing = failing
        self._settings = settings

    def applies(self, turn: ClaimedTurn, purpose: Purpose) -> bool:
        settings = self._settings
        policies = {
            Purpose.ANSWER: settings.newer_message_while_asking,
            Purpose.REPAIR: settings.newer_message_while_repairing,
        }
        return turn.is_sent and policies.get(purpose) == "restart"

    async def unless_newer(self, turn: ClaimedTurn, purpose: Purpose, answer: Awaitable[Answered]) -> Answered | None:
        """The answer; None if it was dropped for a newer message, which is on record then as the attempt's end."""
        asking = asyncio.ensure_future(answer)
        watching = asyncio.create_task(self._newer(turn))
        try:
            await asyncio.wait({asking, watching}, return_when=asyncio.FIRST_COMPLETED)
            if asking.done() or not watching.result():
                return await asking
        finally:
            watching.cancel()
            if not asking.done():
                asking.cancel()
            await asyncio.gather(watching, asking, return_exceptions=True)
        await self._failing.overtaken(turn, self._asking.slot_of(turn), purpose)
        await asyncio.sleep(self._settings.quiet_seconds)
        return None

    async def _newer(self, turn: ClaimedTurn) -> bool:
        """True as soon as a newer message is there; False when it is too late for a restart."""
        try:
            async with asyncio.timeout(self._settings.restart_within_seconds):
                while True:
                    await asyncio.sleep(self._settings.newer_message_poll_seconds)
                    if await self._turns.newest_seq(turn.conversation_id) > turn.last_taken_seq:
                        return True
        except (TimeoutError, StorageUnavailable):
            return False
