"""While a question is out: whether anybody still wants its answer. If not, it is given up, and its slot is free.

A person who takes the conversation, and whoever resets or closes it, makes any answer useless (`OwnerChanged`). A
customer who writes on makes it stale: both messages are asked at once, only on channels where people write in bursts,
only as the settings allow, only soon after the question was put, and never after an effect began (then the newer
message waits for its own turn).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress

from activities.turn_steps.failures import FailureRecorder
from activities.turn_steps.model_calls import Answered
from config.settings import Settings
from schemas.turn_record import Purpose
from storage.database import StorageUnavailable
from storage.turns import ClaimedTurn, Turns


class OwnerChanged(Exception):
    """The question was given up, for the conversation has another owner, or started over, since it was claimed."""


class Interruption:
    """Watches the conversation while a question is out."""

    def __init__(self, turns: Turns, failures: FailureRecorder, settings: Settings) -> None:
        self._turns = turns
        self._failures = failures
        self._settings = settings

    def applies(self, turn: ClaimedTurn) -> bool:
        """Whether a newer message makes the question stale."""
        settings = self._settings
        policies = {
            Purpose.ANSWER: settings.newer_message_while_asking,
            Purpose.REPAIR: settings.newer_message_while_repairing,
        }
        return turn.needs_delivery and policies.get(turn.purpose) == "restart"

    async def run(self, turn: ClaimedTurn, answer: Awaitable[Answered], *, may_yield: bool) -> Answered | None:
        """The answer; None if it was dropped for a newer message, which only happens where it *may_yield*.

        Raises OwnerChanged. A question that was dropped, or given up, is recorded then as the attempt's end.
        """
        call, ended = asyncio.ensure_future(answer), asyncio.Event()
        watching = asyncio.create_task(self._useless(turn, ended, may_yield=may_yield and self.applies(turn)))
        try:
            await asyncio.wait({call, watching}, return_when=asyncio.FIRST_COMPLETED)
            if call.done():
                return await call
        finally:
            ended.set()  # it is not cancelled: a statement under way would cost its connection
            if not call.done():
                call.cancel()
            await asyncio.gather(watching, call, return_exceptions=True)
        if watching.result():
            await self._failures.owner_changed(turn)
            raise OwnerChanged
        await self._failures.interrupted(turn)
        await asyncio.sleep(self._settings.quiet_seconds)
        return None

    async def _useless(self, turn: ClaimedTurn, ended: asyncio.Event, *, may_yield: bool) -> bool:
        """Returns once nobody wants the answer any more: True for another owner, False for a newer message.

        A database that is unavailable is asked again; the commit compares the owner's version in any case.
        """
        loop = asyncio.get_running_loop()
        too_late = loop.time() + self._settings.restart_within_seconds
        while not await _within(ended, self._settings.newer_message_poll_seconds):
            with suppress(StorageUnavailable):
                position = await self._turns.position(turn.conversation_id)
                if position.owner_version != turn.owner_version:
                    return True
                if may_yield and loop.time() < too_late and position.newest_seq > turn.last_claimed_seq:
                    return False
        return False


async def _within(ended: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await ended.wait()
    return ended.is_set()
