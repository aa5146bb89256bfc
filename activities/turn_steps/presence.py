"""Shows a customer that the model works: read receipt, typing, and after a while one interim notice."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from uuid import UUID, uuid5

from temporalio.exceptions import ApplicationError

from activities.assistants import LoadedAssistant
from config.clock import Clock, utc_now
from config.logs import get_logger
from config.settings import Settings
from integrations.channels.failures import SendFailed
from integrations.channels.port import Channel
from schemas.conversations import Deliver, Delivered
from storage.database import StorageUnavailable
from storage.outbox import Outbox
from storage.turns import ClaimedTurn

log = get_logger(__name__)

_TYPING_SECONDS = 20.0
"""Meta shows "typing…" for up to 25 s (Cloud API, "Typing indicators"), so it is renewed before."""


class Presence:
    """*channels*: who shows and sends on which channel. On the others nothing is to be done."""

    def __init__(
        self,
        channels: Mapping[str, Channel],
        outbox: Outbox,
        deliver: Callable[[Deliver], Awaitable[Delivered]],
        settings: Settings,
        now: Clock = utc_now,
    ) -> None:
        self._channels = channels
        self._outbox = outbox
        self._deliver = deliver
        self._settings = settings
        self._now = now

    @asynccontextmanager
    async def during(self, turn: ClaimedTurn, assistant: LoadedAssistant) -> AsyncIterator[None]:
        """At work until the block ends. Nothing that goes wrong here costs the customer the answer."""
        channel = self._channels.get(turn.channel)
        if channel is None or not turn.needs_delivery:
            yield
            return
        read = asyncio.Event()
        typing = asyncio.create_task(self._show_typing(channel, turn, read))
        begun = asyncio.Event()
        notice = asyncio.create_task(self._send_interim_notice(turn, assistant, begun))
        try:
            yield
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(read.wait(), self._settings.read_receipt_seconds)
        except asyncio.CancelledError:
            notice.cancel()  # the worker stops, and must not wait for a channel that hangs
            raise
        finally:
            typing.cancel()
            if not begun.is_set():  # once it is on its way, its outcome must be known
                notice.cancel()
            await asyncio.gather(typing, notice, return_exceptions=True)

    async def while_waiting(self, turn: ClaimedTurn, assistant: LoadedAssistant) -> None:
        """Sends an interim notice if the turn has waited for long, where messages are sent over the channel."""
        if turn.needs_delivery and turn.channel in self._channels and self._seconds_left(turn) <= 0:
            await self._send_interim_notice(turn, assistant, asyncio.Event())

    def _seconds_left(self, turn: ClaimedTurn) -> float:
        """Until an interim notice is due."""
        waited = (self._now() - turn.started_at).total_seconds()
        return self._settings.still_working_seconds - waited

    async def _show_typing(self, channel: Channel, turn: ClaimedTurn, read: asyncio.Event) -> None:
        """Sets *read* once the read receipt is through, or will not be."""
        newest = max(turn.messages, key=lambda message: message.seq)
        try:
            while newest.channel_message_id:
                await channel.mark_read_and_typing(turn.account, newest.channel_message_id)
                read.set()
                await asyncio.sleep(_TYPING_SECONDS)
        except SendFailed as failed:
            log.info("typing_not_shown", conversation_id=str(turn.conversation_id), why=str(failed))
        finally:
            read.set()

    async def _send_interim_notice(self, turn: ClaimedTurn, assistant: LoadedAssistant, begun: asyncio.Event) -> None:
        """One message a turn, however many attempts that takes."""
        await asyncio.sleep(max(self._seconds_left(turn), 0))
        begun.set()
        meta = {"interim_notice_of": str(turn.id)}
        message_id = interim_notice_id(turn.id)
        try:
            await self._outbox.add(
                turn.conversation_id,
                assistant.texts.still_working,
                message_id=message_id,
                author="assistant",
                meta=meta,
                owner_version=turn.owner_version,
            )
            await self._deliver(Deliver(conversation_id=turn.conversation_id))
        except (StorageUnavailable, ApplicationError) as trouble:
            log.warning("interim_notice_not_sent", conversation_id=str(turn.conversation_id), why=str(trouble)[:200])


def interim_notice_id(turn_id: UUID) -> UUID:
    """The id of a turn's interim notice: always the same, so that there is one."""
    return uuid5(turn_id, "still working")
