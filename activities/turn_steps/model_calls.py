"""Puts one question, in the account's slot, and reads what comes: showing the text to those who watch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

from actions.holding import Holding
from actions.reading import read_output
from activities.assistants import LoadedAssistant
from activities.turn_steps.prompt import PreparedPrompt
from activities.turn_steps.streaming import publishing
from config import metrics
from config.settings import Settings
from integrations.perplexity.port import Answer, AskFailed, ModelPrompt, Perplexity
from schemas.actions import ParsedOutput
from schemas.turn_decisions import OutputRecord
from schemas.turns import Source
from storage.account_slots import AccountSlots
from storage.database import StorageUnavailable
from storage.streams import StreamEvents
from storage.turns import ClaimedTurn

UNKNOWN_PACK = "unknown"

OnText = Callable[[str], None]


@dataclass(frozen=True)
class Answered:
    """The model's output: as it is read, and as it is kept."""

    parsed: ParsedOutput
    sources: tuple[Source, ...]
    output: OutputRecord


class Unanswered(Exception):
    """The question got no answer."""

    def __init__(self, error: AskFailed, model_ms: int) -> None:
        super().__init__(str(error))
        self.error = error
        self.model_ms = model_ms


class ModelCalls:
    """Asks Perplexity for a turn."""

    def __init__(self, perplexity: Perplexity, slots: AccountSlots, events: StreamEvents, settings: Settings) -> None:
        self._perplexity = perplexity
        self._slots = slots
        self._events = events
        self._settings = settings

    async def ask(self, turn: ClaimedTurn, assistant: LoadedAssistant, prepared: PreparedPrompt) -> Answered:
        """The model's output, in the slot that is taken for it. Raises Unanswered."""
        clock = _Clock()
        lease = asyncio.create_task(self._keep_slot(turn))
        try:
            answer = await self._put(turn, assistant, prepared.prompt, clock)
        except AskFailed as error:
            raise Unanswered(error, clock.elapsed_ms()) from error
        finally:
            lease.cancel()
        model_ms = clock.elapsed_ms()
        metrics.MODEL_SECONDS.observe(model_ms / 1000)
        parsed = read_output(answer.text, assistant.registry, limits=assistant.limits)
        return Answered(parsed, answer.sources, _record(turn, prepared, answer, parsed, model_ms, clock.first_text_ms))

    async def _keep_slot(self, turn: ClaimedTurn) -> None:
        """Renews the slot while the question is out. A database that is unavailable may cost the slot, not more."""
        while True:
            await asyncio.sleep(self._slots.lease_seconds / 3)
            with suppress(StorageUnavailable):
                await self._slots.renew(turn.slot)

    async def _put(self, turn: ClaimedTurn, assistant: LoadedAssistant, prompt: ModelPrompt, clock: _Clock) -> Answer:
        metrics.MODEL_CALLS.inc()
        if not any(message.wants_stream for message in turn.messages):
            return await self._perplexity.ask(prompt, _listener(clock, lambda _: None))
        async with publishing(self._events, turn, self._settings.stream_flush_seconds) as publisher:
            holding = Holding(assistant.registry, assistant.limits)  # a customer never sees an action being written
            answer = await self._perplexity.ask(
                prompt, _listener(clock, lambda text: publisher.show(holding.feed(text).text))
            )
            publisher.end(holding.finish(answer.text).text)
            return answer


class _Clock:
    """Milliseconds since the question was put, and until the first text."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self.first_text_ms: int | None = None

    def elapsed_ms(self) -> int:
        return int((time.monotonic() - self._start) * 1000)

    def first_text(self) -> None:
        if self.first_text_ms is None:
            self.first_text_ms = self.elapsed_ms()
            metrics.FIRST_TEXT_SECONDS.observe(self.first_text_ms / 1000)


def _listener(clock: _Clock, show: OnText) -> Callable[[str], Awaitable[None]]:
    async def on_text(text: str) -> None:
        if text:
            clock.first_text()
            show(text)

    return on_text


def _record(
    turn: ClaimedTurn,
    prepared: PreparedPrompt,
    answer: Answer,
    parsed: ParsedOutput,
    model_ms: int,
    first_text_ms: int | None,
) -> OutputRecord:
    """What the model really wrote, with the verdict."""
    prompt = prepared.prompt
    in_force = prepared.pack_told if prompt.collection_uuid is None else turn.pack_pasted
    return OutputRecord(
        id=uuid4(),
        purpose=turn.purpose,
        verdict=parsed.verdict,
        text=answer.text,
        errors=list(parsed.errors),
        notes=list(parsed.notes),
        details=answer.details,
        backend_uuid=answer.backend_uuid,
        thread_url_slug=answer.thread_url_slug,
        account_name=prompt.account_name,
        collection_uuid=prompt.collection_uuid,
        prompt_pack=in_force or UNKNOWN_PACK,
        pack_echoed=parsed.action.pack if parsed.action else None,
        pack_told=prepared.pack_told,
        slot=turn.slot,
        model_ms=model_ms,
        first_text_ms=first_text_ms,
    )
