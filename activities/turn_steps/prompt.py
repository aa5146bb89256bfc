"""What is put to the model: with the prompt pack where no Space holds it, and short enough for the request line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from actions.prompt_pack import PromptPack, before_words
from config.settings import Settings
from integrations.perplexity.port import ModelPrompt
from schemas.assistants import Assistant
from schemas.conversations import Thread
from schemas.messages import WaitingMessage

_CUT = "\n[… shortened …]\n"
_LEAST = 200
"""Fewer characters than this of a long message are not worth asking about."""


@dataclass(frozen=True)
class Prompt:
    """What is put to the model. Only *words* are ever cut, before *frame* puts them inside a boundary."""

    words: str
    frame: Callable[[str], str]


def joined_text(messages: Sequence[WaitingMessage]) -> str:
    """Messages that are answered together, in their order, an empty line between two."""
    return "\n\n".join(message.text for message in messages if message.counts)


def prompt_for(text: str, assistant: Assistant, thread: Thread, settings: Settings) -> ModelPrompt:
    """The question with everything the assistant's configuration says, and the thread it belongs to."""
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


def with_pack(pack: PromptPack, prompt: ModelPrompt) -> ModelPrompt:
    """*prompt* with the instructions before it, for a thread that does not know them (yet, or in this version)."""
    return prompt.model_copy(update={"text": before_words(pack, prompt.text)})


def recap_that_fits(
    recap: Sequence[tuple[str, str]], room_for: Callable[[Sequence[tuple[str, str]]], int]
) -> Sequence[tuple[str, str]]:
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
