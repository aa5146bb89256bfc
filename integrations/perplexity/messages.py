"""Messages of one answer → the text so far, and what of it may be accepted. Second step of reading an answer.

A message comes in one of two shapes (docs/wrapper.md): upstream's own with `blocks`
(`answer_only=false`), or `{progress, answer, backend_uuid}` (`answer_only=true`). Anything in them may be null or
missing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from integrations.perplexity.patches import patched
from schemas.visible import shows_something

_TEXT_USAGE = "ask_text"
_RESULTS_USAGE = "web_results"


@dataclass
class MessagesSoFar:
    """Folds messages, one after the other. `text` is what a reader may be shown now.

    `accepted` is the answer's text once a message made it one: a completed last message that carries an answer, or
    `progress: "DONE"` with a string. `complete` says that nothing after it can change it.
    """

    text: str = ""
    count: int = 0
    accepted: str | None = None
    complete: bool = False
    last: dict[str, Any] = field(default_factory=dict)
    backend_uuid: str | None = None
    _blocks: dict[str, Any] = field(default_factory=dict)

    def add(self, message: dict[str, Any]) -> None:
        self.count += 1
        self.last = message
        if isinstance(uuid := message.get("backend_uuid"), str) and uuid:
            self.backend_uuid = uuid
        if "answer" in message or "progress" in message:
            self._add_short(message)
        else:
            self._add_full(message)

    def web_results(self) -> list[Any]:
        """The pages in the order in which `[n]` counts them; entries are whatever upstream sent."""
        block = self._blocks.get(_RESULTS_USAGE)
        results = block.get("web_results") if isinstance(block, dict) else None
        return results if isinstance(results, list) else []

    def _add_short(self, message: dict[str, Any]) -> None:
        answer = message.get("answer")
        if not isinstance(answer, str):
            return
        if message.get("progress") == "DONE":
            self.text = answer
            self.accepted = answer if shows_something(answer) else None
        else:
            self.text = _continued(self.text, answer)

    def _add_full(self, message: dict[str, Any]) -> None:
        usages = [self._fold(block) for block in _dicts(message.get("blocks"))]
        texts = [usage for usage in usages if usage.startswith(_TEXT_USAGE)]
        if texts:
            self.text = self._shown()
        if message.get("status") == "COMPLETED" and message.get("final_sse_message") is True:
            self.complete = True
            self.accepted = self._answer() if texts else None

    def _fold(self, block: dict[str, Any]) -> str:
        """Takes over one block if it matters to us; gives its usage, or an empty string."""
        usage = block.get("intended_usage")
        if not isinstance(usage, str):
            return ""
        if usage.startswith(_TEXT_USAGE):
            self._take(usage, block, "markdown_block")
        elif usage == _RESULTS_USAGE:
            self._take(usage, block, "web_result_block")
        return usage

    def _take(self, usage: str, block: dict[str, Any], name: str) -> None:
        whole, diff = block.get(name), block.get("diff_block")
        if isinstance(whole, dict):
            self._blocks[usage] = _with_earlier_chunks(whole, self._blocks.get(usage))
        elif isinstance(diff, dict) and diff.get("field") == name:
            self._blocks[usage] = patched(self._blocks.get(usage), diff.get("patches"))

    def _shown(self) -> str:
        return self._joined(lambda block: _string(block.get("answer")) or "".join(_chunks(block)))

    def _answer(self) -> str | None:
        answer = self._joined(lambda block: _string(block.get("answer")))
        return answer if shows_something(answer) else None

    def _joined(self, text_of: Callable[[dict[str, Any]], str]) -> str:
        """Text of the block `ask_text`, which has everything; else of its numbered kind, in order."""
        texts = {usage: block for usage, block in self._blocks.items() if usage.startswith(_TEXT_USAGE)}
        chosen = [texts[_TEXT_USAGE]] if _TEXT_USAGE in texts else list(texts.values())
        return "".join(text_of(block) for block in _dicts(chosen))


def _continued(earlier: str, piece: str) -> str:
    """`answer_only=true` does not say whether a piece is all so far or only what is new."""
    return piece if piece.startswith(earlier) else earlier + piece


def _with_earlier_chunks(block: dict[str, Any], earlier: Any) -> dict[str, Any]:
    """A whole block in progress may hold only chunks from `chunk_starting_offset` on: put the earlier ones before."""
    offset = block.get("chunk_starting_offset")
    if block.get("progress") == "DONE" or _string(block.get("answer")) or not isinstance(earlier, dict):
        return block
    before, new = _chunks(earlier), _chunks(block)
    if not isinstance(offset, int):
        offset = 0 if "".join(new).startswith("".join(before)) else len(before)
    return {**block, "chunks": before[:offset] + new} if offset > 0 else block


def _chunks(block: dict[str, Any]) -> list[str]:
    chunks = block.get("chunks")
    return [chunk for chunk in chunks if isinstance(chunk, str)] if isinstance(chunks, list) else []


def _dicts(values: Any) -> list[dict[str, Any]]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""
