"""Wake-ups after a webhook's answer: quick, best effort, bounded. What is missed here, the sweep makes up for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from config import metrics
from config.logs import get_logger
from integrations.temporal.conversations import Conversations, TemporalUnavailable
from schemas.conversation_ref import ConversationRef

log = get_logger(__name__)

_AT_THE_END_SECONDS = 1.0


class BackgroundSignals:
    """The channel must not wait for Temporal: a message is safe once it is stored."""

    def __init__(self, conversations: Conversations, at_once: int) -> None:
        self._conversations = conversations
        self._gate = asyncio.Semaphore(at_once)
        self._tasks: set[asyncio.Task[None]] = set()

    def message_stored(self, refs: Iterable[ConversationRef]) -> None:
        """One wake-up for each conversation, with the newest of its numbers."""
        newest: dict[str, ConversationRef] = {}
        for ref in refs:
            known = newest.get(ref.workflow_id, ref)
            both = {"seq": max(ref.seq, known.seq), "files": ref.files or known.files}
            newest[ref.workflow_id] = ref.model_copy(update=both)
        for ref in newest.values():
            self._start(self._conversations.signal_message_stored, ref)

    def delivery_due(self, refs: Iterable[ConversationRef]) -> None:
        for ref in {ref.workflow_id: ref for ref in refs}.values():
            self._start(self._conversations.signal_delivery_due, ref)

    def standing_changed(self, ref: ConversationRef) -> None:
        """What the conversation's workflow's state is old; the database has changed already."""
        self._start(self._conversations.signal_standing_changed, ref)

    def merged(self, refs: Iterable[ConversationRef]) -> None:
        """Conversations that ended: each hands over what is left to the one that goes on."""
        for ref in refs:
            self._start(self._conversations.signal_merged, ref)

    async def close(self) -> None:
        """Lets what is under way come to its end."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_AT_THE_END_SECONDS)

    def _start(self, call: Callable[[ConversationRef], Awaitable[None]], ref: ConversationRef) -> None:
        task = asyncio.create_task(self._call(call, ref))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _call(self, call: Callable[[ConversationRef], Awaitable[None]], ref: ConversationRef) -> None:
        async with self._gate:
            try:
                await call(ref)
            except TemporalUnavailable as trouble:
                metrics.WAKES_FAILED.inc()
                log.warning("left_to_the_sweep", workflow_id=ref.workflow_id, why=str(trouble))
