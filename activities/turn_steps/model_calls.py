"""Puts one question: within the account's limits, showing the text to those who watch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID, uuid5

from actions.holding import Holding
from actions.prompt_pack import with_recap
from activities.assistants import LoadedAssistant
from activities.turn_steps.prompt import Prompt, prompt_for, recap_that_fits, shortened, with_pack
from activities.turn_steps.streaming import publishing
from config import metrics
from config.settings import Settings
from integrations.perplexity.port import Answer, AskFailed, ModelPrompt, Perplexity
from schemas.conversations import Thread
from schemas.turn_record import Purpose
from storage.account_slots import AccountSlots
from storage.database import StorageUnavailable
from storage.streams import StreamEvents
from storage.turns import ClaimedTurn

UNKNOWN_PACK = "unknown"

OnText = Callable[[str], None]


@dataclass(frozen=True)
class Answered:
    """The model's output and what it took. Times are milliseconds since the question was put.

    `pack_asked_with`: the version of the prompt pack in force for the question, `unknown` where a Space holds one that
    nobody confirmed as pasted. `pack_told`: the version that the thread was told in a message.
    """

    answer: Answer
    prompt: ModelPrompt
    shortened: bool
    pack_asked_with: str
    pack_told: str | None
    slot: UUID
    model_ms: int
    first_text_ms: int | None


@dataclass(frozen=True)
class Prepared:
    """A question ready to be put; *shortened*: the customer's words were cut. *pack_told* as in `Answered`."""

    prompt: ModelPrompt
    shortened: bool
    pack_told: str | None


class Unanswered(Exception):
    """The question got no answer; `slot` is the account's slot to free."""

    def __init__(self, error: AskFailed, slot: UUID, model_ms: int) -> None:
        super().__init__(str(error))
        self.error = error
        self.slot = slot
        self.model_ms = model_ms


class ModelCalls:
    """Asks Perplexity for a turn."""

    def __init__(
        self, perplexity: Perplexity, accounts: AccountSlots, events: StreamEvents, settings: Settings
    ) -> None:
        self._perplexity = perplexity
        self._accounts = accounts
        self._events = events
        self._settings = settings

    def _prepared(
        self,
        turn: ClaimedTurn,
        assistant: LoadedAssistant,
        thread: Thread,
        prompt: Prompt,
        recap: Sequence[tuple[str, str]] | None = None,
    ) -> Prepared:
        """The question for *prompt*: with the pack that its thread must be told, cut to what the wrapper takes.

        *recap*: what was said so far, for a thread that takes another's place and was told nothing.
        """
        known = turn.pack_told if recap is None else None
        pack = assistant.pack_to_send(prompt_for(prompt.words, assistant.stored, thread, self._settings), known)

        def put_as(words: str, said: Sequence[tuple[str, str]]) -> ModelPrompt:
            plain = prompt_for(with_recap(said, prompt.frame(words)), assistant.stored, thread, self._settings)
            return with_pack(pack, plain) if pack else plain

        told = recap_that_fits(recap or (), lambda said: self._perplexity.room_for(put_as(prompt.words, said)))
        fitting = shortened(prompt.words, lambda words: self._perplexity.room_for(put_as(words, told)))
        cut = turn.purpose is Purpose.ANSWER and fitting is not prompt.words
        return Prepared(put_as(fitting, told), shortened=cut, pack_told=pack.version if pack else known)

    async def has_thread(self, account_name: str, slug: str) -> bool | None:
        """Whether upstream still knows the thread; None if that cannot be told now."""
        return await self._perplexity.has_thread(account_name, slug)

    async def begin(
        self,
        turn: ClaimedTurn,
        assistant: LoadedAssistant,
        thread: Thread,
        prompt: Prompt,
        recap: Sequence[tuple[str, str]] | None = None,
    ) -> tuple[Prepared, float]:
        """The question for *prompt* as `_prepared` makes it, and how long it has to wait.

        0: a slot of the account is taken; else the seconds to wait, or -1 if the turn is another attempt's by now.
        """
        prepared = self._prepared(turn, assistant, thread, prompt, recap)
        account = prepared.prompt.account_name
        wait = await self._accounts.claim_slot(turn.id, turn.attempt, self.slot_of(turn), account)
        if wait > 0:
            metrics.ACCOUNT_WAITS.inc()
        return prepared, wait

    async def ask(self, turn: ClaimedTurn, assistant: LoadedAssistant, prepared: Prepared) -> Answered:
        """The model's output. Raises Unanswered."""
        prompt, clock = prepared.prompt, _Clock()
        lease = asyncio.create_task(self._keep_slot(turn))
        try:
            answer = await self._put(turn, assistant, prompt, clock)
        except AskFailed as error:
            raise Unanswered(error, self.slot_of(turn), clock.elapsed_ms()) from error
        finally:
            lease.cancel()
        model_ms = clock.elapsed_ms()
        metrics.MODEL_SECONDS.observe(model_ms / 1000)
        in_space = prompt.collection_uuid is not None
        return Answered(
            answer=answer,
            prompt=prompt,
            shortened=prepared.shortened,
            pack_asked_with=(turn.pack_pasted if in_space else prepared.pack_told) or UNKNOWN_PACK,
            pack_told=prepared.pack_told,
            slot=self.slot_of(turn),
            model_ms=model_ms,
            first_text_ms=clock.first_text_ms,
        )

    async def _keep_slot(self, turn: ClaimedTurn) -> None:
        """Renews the slot while the question is out. A database that is unavailable may cost the slot, not more."""
        while True:
            await asyncio.sleep(self._accounts.lease_seconds / 3)
            with suppress(StorageUnavailable):
                await self._accounts.renew(self.slot_of(turn))

    def slot_of(self, turn: ClaimedTurn) -> UUID:
        """The account slot of this attempt: always the same, so that whoever ends the attempt can free it."""
        return uuid5(turn.id, f"slot {turn.attempt}")

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
