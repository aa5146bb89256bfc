"""Puts one prompt, in the account's slot, for as long as somebody wants its answer; reads what comes.

A person who takes the conversation, and whoever resets or closes it, makes any answer useless (`OwnerChanged`). A
customer who writes on makes it stale (`NewerMessage`): both messages are asked at once, only on channels where people
write in bursts, only as the settings allow, only soon after the prompt was put, and never after an effect began (then
the newer message waits for its own turn).
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

from actions.reading import read_output
from actions.stream_filter import StreamFilter
from activities.assistants import LoadedAssistant
from activities.turn_steps.prompt import PreparedPrompt
from activities.turn_steps.streaming import publishing
from config import metrics
from config.settings import Settings
from integrations.perplexity.port import Answer, AskFailed, ModelPrompt, Perplexity
from schemas.actions import ParsedOutput
from schemas.turn_decisions import OutputRecord
from schemas.turn_record import Purpose
from schemas.turns import Source
from storage.account_slots import AccountSlots
from storage.database import StorageUnavailable
from storage.streams import StreamEvents
from storage.turns import ClaimedTurn, Turns

UNKNOWN_PACK = "unknown"


@dataclass(frozen=True)
class Answered:
    """The model's output: as it is read, and as it is kept."""

    parsed: ParsedOutput
    sources: tuple[Source, ...]
    output: OutputRecord


class Unanswered(Exception):
    """The call brought no answer. `prompt_pack`: as in an `OutputRecord`."""

    def __init__(self, error: AskFailed, model_ms: int, prompt_pack: str, account_name: str) -> None:
        super().__init__(str(error))
        self.error = error
        self.model_ms = model_ms
        self.prompt_pack = prompt_pack
        self.account_name = account_name


class OwnerChanged(Exception):
    """The call was dropped, for the conversation has another owner, or started over, since it was claimed."""


class NewerMessage(Exception):
    """The call was dropped, for the customer wrote on."""


class ModelCalls:
    """Asks Perplexity for a turn."""

    def __init__(
        self, perplexity: Perplexity, slots: AccountSlots, turns: Turns, events: StreamEvents, settings: Settings
    ) -> None:
        self._perplexity = perplexity
        self._slots = slots
        self._turns = turns
        self._events = events
        self._settings = settings

    async def ask(
        self, turn: ClaimedTurn, assistant: LoadedAssistant, prepared: PreparedPrompt, *, may_yield: bool
    ) -> Answered:
        """The model's output, in the slot that is taken for it.

        Raises Unanswered, OwnerChanged and, only where it *may_yield*, NewerMessage.
        """
        call, ended = asyncio.create_task(self._answer(turn, assistant, prepared)), asyncio.Event()
        watching = asyncio.create_task(self._unwanted(turn, ended, may_yield=may_yield and self._yields(turn)))
        try:
            await asyncio.wait({call, watching}, return_when=asyncio.FIRST_COMPLETED)
            if call.done():
                return await call
        finally:
            ended.set()  # it is not cancelled: a statement under way would cost its connection
            if not call.done():
                call.cancel()
            await asyncio.gather(watching, call, return_exceptions=True)
        raise watching.result()

    def _yields(self, turn: ClaimedTurn) -> bool:
        """Whether a newer message makes the prompt stale."""
        settings = self._settings
        policies = {
            Purpose.ANSWER: settings.newer_message_while_asking,
            Purpose.REPAIR: settings.newer_message_while_repairing,
        }
        return turn.needs_delivery and policies.get(turn.purpose) == "restart"

    async def _unwanted(
        self, turn: ClaimedTurn, ended: asyncio.Event, *, may_yield: bool
    ) -> OwnerChanged | NewerMessage:
        """Returns once nobody wants the answer any more, or it has come.

        A database that is unavailable is asked again; the commit compares the owner's version in any case.
        """
        loop = asyncio.get_running_loop()
        too_late = loop.time() + self._settings.restart_within_seconds
        while not await _within(ended, self._settings.newer_message_poll_seconds):
            with suppress(StorageUnavailable):
                position = await self._turns.position(turn.conversation_id)
                if position.owner_version != turn.owner_version:
                    return OwnerChanged()
                if may_yield and loop.time() < too_late and position.newest_seq > turn.last_claimed_seq:
                    break
        return NewerMessage()

    async def _answer(self, turn: ClaimedTurn, assistant: LoadedAssistant, prepared: PreparedPrompt) -> Answered:
        asked_at = time.monotonic()
        lease = asyncio.create_task(self._keep_slot(turn))
        try:
            answer = await self._put(turn, assistant, prepared.prompt)
        except AskFailed as error:
            account = prepared.prompt.account_name
            raise Unanswered(error, _ms_since(asked_at), _asked_with(turn, prepared), account) from error
        finally:
            lease.cancel()
        model_ms = _ms_since(asked_at)
        metrics.MODEL_SECONDS.observe(model_ms / 1000)
        if answer.first_text_ms is not None:
            metrics.FIRST_TEXT_SECONDS.observe(answer.first_text_ms / 1000)
        parsed = read_output(answer.text, assistant.registry, limits=assistant.limits)
        return Answered(parsed, answer.sources, _record(turn, prepared, answer, parsed, model_ms))

    async def _keep_slot(self, turn: ClaimedTurn) -> None:
        """Renews the slot while the call is out. A database that is unavailable may cost the slot, not more."""
        while True:
            await asyncio.sleep(self._slots.lease_seconds / 3)
            with suppress(StorageUnavailable):
                await self._slots.renew(turn.slot)

    async def _put(self, turn: ClaimedTurn, assistant: LoadedAssistant, prompt: ModelPrompt) -> Answer:
        metrics.MODEL_CALLS.inc()
        if not any(message.wants_stream for message in turn.messages):
            return await self._perplexity.ask(prompt)
        async with publishing(self._events, turn, self._settings.stream_flush_seconds) as publisher:
            stream = StreamFilter(assistant.registry, assistant.limits)  # a customer never sees an action being written

            async def show(text: str) -> None:
                if text:
                    publisher.show(stream.feed(text).text)

            answer = await self._perplexity.ask(prompt, show)
            publisher.show(stream.finish(answer.text).text)
            return answer


async def _within(ended: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await ended.wait()
    return ended.is_set()


def _ms_since(moment: float) -> int:
    return int((time.monotonic() - moment) * 1000)


def _asked_with(turn: ClaimedTurn, prepared: PreparedPrompt) -> str:
    """The version of the pack that was in force."""
    space = prepared.prompt.collection_uuid
    return (prepared.pack_told if space is None else turn.packs_pasted.get(space)) or UNKNOWN_PACK


def _record(
    turn: ClaimedTurn, prepared: PreparedPrompt, answer: Answer, parsed: ParsedOutput, model_ms: int
) -> OutputRecord:
    """What the model really wrote, with the verdict."""
    prompt = prepared.prompt
    return OutputRecord(
        id=uuid4(),
        purpose=turn.purpose,
        verdict=parsed.verdict,
        text=answer.text,
        errors=tuple(parsed.errors),
        notes=tuple(parsed.notes),
        details=answer.details,
        backend_uuid=answer.backend_uuid,
        thread_url_slug=answer.thread_url_slug,
        account_name=prompt.account_name,
        collection_uuid=prompt.collection_uuid,
        prompt_pack=_asked_with(turn, prepared),
        pack_echoed=parsed.pack,
        pack_told=prepared.pack_told,
        slot=turn.slot,
        model_ms=model_ms,
        first_text_ms=answer.first_text_ms,
    )
