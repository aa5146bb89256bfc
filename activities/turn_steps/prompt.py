"""What is put to the model: with the prompt pack where no Space holds it, and short enough for the request line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid5

from actions.gates import GateResult
from actions.prompt_pack import (
    PromptPack,
    before_words,
    repair_prompt,
    result_prompt,
    with_open_question,
    with_recap,
)
from actions.untrusted import wrap_untrusted
from activities.assistants import LoadedAssistant
from config.clock import Clock
from config.settings import Settings
from integrations.perplexity.port import ModelPrompt, Perplexity
from schemas.assistants import Assistant
from schemas.conversations import Thread
from schemas.encoding import dump_json
from schemas.messages import WaitingMessage
from schemas.turn_record import Purpose
from storage.actions import Actions
from storage.earlier_words import EarlierWords, RecapLine
from storage.turns import ClaimedTurn

_CUT = "\n[… shortened …]\n"
_LEAST = 200
"""Fewer characters than this of a long message are not worth asking about."""
_FAILURES_OF_A_LOST_THREAD = 2
_RECAP_MESSAGES = 20

Said = Sequence[tuple[str, str]]
"""Author and words of messages, oldest first."""


@dataclass(frozen=True)
class PreparedPrompt:
    """A prompt ready to be put, on *thread*; *shortened*: the customer's words were cut.

    `pack_told`: the version of the prompt pack that the thread then knows from a message. `lost_thread`: the one that
    upstream forgot, and that *thread* takes the place of.
    """

    prompt: ModelPrompt
    thread: Thread
    shortened: bool
    pack_told: str | None
    lost_thread: UUID | None = None


@dataclass(frozen=True)
class _Words:
    """What is put to the model. Only *text* is ever cut, before *frame* puts it inside a boundary."""

    text: str
    frame: Callable[[str], str]


class Prompts:
    """Makes the prompt of a turn's step."""

    def __init__(
        self, earlier: EarlierWords, actions: Actions, perplexity: Perplexity, settings: Settings, now: Clock
    ) -> None:
        self._earlier = earlier
        self._actions = actions
        self._perplexity = perplexity
        self._settings = settings
        self._now = now

    async def prepare(
        self, turn: ClaimedTurn, assistant: LoadedAssistant, thread: Thread, gate: GateResult
    ) -> PreparedPrompt:
        """The prompt of this step on *thread*, or on a new one with what was said so far if upstream forgot it; so is
        every new one until an answer counts.

        After a merge *thread* is told, once, what was said in the other conversation.
        """
        lost = await self._lost(turn, thread, assistant)
        words = await self._words(turn, assistant, gate)
        follows_lost = turn.after_lost and turn.purpose is Purpose.ANSWER and thread.backend_uuid is None
        if lost is None and not follows_lost:
            is_told = turn.untold_merges and turn.purpose is Purpose.ANSWER and not turn.thread_ended
            merged = await self._earlier.merged_recap(turn, _RECAP_MESSAGES) if is_told else []
            pack_told = turn.pack_told if thread.backend_uuid else None  # a thread that begins knows nothing
            return self._fitted(turn, assistant, words, thread, pack_told, _said(merged))
        recap = _said(await self._earlier.recap(turn, _RECAP_MESSAGES))
        new = thread if lost is None else Thread(frontend_context_uuid=uuid5(turn.id, "in the place of a lost thread"))
        return self._fitted(turn, assistant, words, new, None, recap, lost)

    async def _lost(self, turn: ClaimedTurn, thread: Thread, assistant: LoadedAssistant) -> UUID | None:
        """The thread, if upstream forgot it: the prompt surely failed there twice, and it knows no such thread.

        That a prompt without it is answered shows with this one; only then the old thread ends.
        """
        if turn.purpose is not Purpose.ANSWER or turn.final_failures < _FAILURES_OF_A_LOST_THREAD:
            return None
        if thread.backend_uuid is None or turn.thread_url_slug is None:
            return None
        account = assistant.stored.config.account_name or self._settings.default_account_name
        known = await self._perplexity.has_thread(account, turn.thread_url_slug)
        return thread.frontend_context_uuid if known is False else None

    async def _words(self, turn: ClaimedTurn, assistant: LoadedAssistant, gate: GateResult) -> _Words:
        """The customer's words, a repair, or an action's result."""
        if turn.purpose is Purpose.REPAIR:
            await asyncio.sleep(assistant.registry.config.repair_pause_seconds)
            invalid = await self._earlier.last_invalid(turn.id)
            return _Words(invalid.text, lambda raw: repair_prompt(invalid.errors, raw, assistant.registry))
        if turn.purpose is Purpose.CONCLUDE:
            last = await self._actions.last_result(turn.id)
            result = dump_json({"status": last.status, **last.result})
            return _Words(result, lambda shown: result_prompt(last.name, shown))
        return _Words(joined_text(turn.messages), lambda text: self._customers(turn, gate, text))

    def _customers(self, turn: ClaimedTurn, gate: GateResult, text: str) -> str:
        """The customer's words as every prompt shows them, the first of a thread or not: marked, and unable to forge;
        after what they were asked to confirm, and have not answered with a plain yes or no."""
        words = wrap_untrusted("customer_message", text)
        asked, now = turn.question, self._now()
        if asked is None:
            return words
        stays = now < asked.expires_at and not gate.drops_question
        return with_open_question(asked.pending.request, (now - asked.created_at).total_seconds(), words, stays=stays)

    def _fitted(
        self,
        turn: ClaimedTurn,
        assistant: LoadedAssistant,
        words: _Words,
        thread: Thread,
        known_pack: str | None,
        recap: Said = (),
        lost: UUID | None = None,
    ) -> PreparedPrompt:
        """With the pack that *thread* must be told, cut to what the wrapper takes."""
        pack = _pack_to_send(assistant, self._settings, known_pack)

        def put_as(text: str, said: Said) -> ModelPrompt:
            told = with_recap(said, words.frame(text)) if said else words.frame(text)
            whole = before_words(pack, told) if pack else told
            return prompt_for(whole, assistant.stored, thread, self._settings)

        told = recap_that_fits(recap, lambda said: self._perplexity.room_for(put_as(words.text, said)))
        fitting = shortened(words.text, lambda text: self._perplexity.room_for(put_as(text, told)))
        cut = turn.purpose is Purpose.ANSWER and fitting is not words.text
        return PreparedPrompt(put_as(fitting, told), thread, cut, pack.version if pack else known_pack, lost)


def _said(lines: Sequence[RecapLine]) -> Said:
    return [(line.author, line.text) for line in lines]


def joined_text(messages: Sequence[WaitingMessage]) -> str:
    """Messages that are answered together, in their order, an empty line between two."""
    return "\n\n".join(message.text for message in messages if message.counts)


def prompt_for(text: str, assistant: Assistant, thread: Thread, settings: Settings) -> ModelPrompt:
    """The prompt with everything the assistant's configuration says, and the thread it belongs to."""
    config = assistant.config
    return ModelPrompt(
        text=text,
        account_name=config.account_name or settings.default_account_name,
        collection_uuid=config.collection_uuid or settings.default_collection_uuid,
        mode=config.mode or settings.default_mode,
        model=config.model,
        sources=config.sources,
        language=config.language or settings.default_language,
        frontend_context_uuid=str(thread.frontend_context_uuid),
        backend_uuid=thread.backend_uuid,
    )


def _pack_to_send(assistant: LoadedAssistant, settings: Settings, known: str | None) -> PromptPack | None:
    """The pack, if the thread must be told: it has no Space, and knows none or another version."""
    in_space = assistant.stored.config.collection_uuid or settings.default_collection_uuid
    if in_space or not assistant.registry.config.send_pack or known == assistant.pack.version:
        return None
    return assistant.pack


def recap_that_fits(recap: Said, room_for: Callable[[Said], int]) -> Said:
    """The newest lines of *recap* that there is room for: it gives way before the customer's words do."""
    while recap and room_for(recap) < 0:
        recap = recap[1:]
    return recap


def shortened(text: str, room_for: Callable[[str], int]) -> str:
    """*text* itself if the request line has room for it, else its beginning and end with a mark between.

    *room_for* gives the bytes left for a text. If not even a few words fit, *text* is returned as it is, and the
    client refuses it.
    """
    if room_for(text) >= 0:
        return text
    low, high = _LEAST, len(text)
    while low < high:
        kept = (low + high + 1) // 2
        if room_for(_cut(text, kept)) >= 0:
            low = kept
        else:
            high = kept - 1
    candidate = _cut(text, low)
    return candidate if room_for(candidate) >= 0 else text


def _cut(text: str, kept: int) -> str:
    head = kept * 2 // 3
    return text[:head] + _CUT + text[len(text) - (kept - head) :]
