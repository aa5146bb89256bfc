"""Messages of one answer → the text so far, and what of it may be accepted. Second step of reading an answer.

A message comes in one of two kinds (docs/wrapper.md): upstream's own (`answer_only=false`), whose words stand in one of
several shapes (`texts`), or `{progress, answer, backend_uuid}` (`answer_only=true`). Anything in them may be null or
missing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from integrations.perplexity import texts
from integrations.perplexity.marks import Refusal, is_completed, refusal_in
from integrations.perplexity.patches import patched
from schemas.visible import shows_something

_TEXT_USAGE = "ask_text"
_WORKFLOW_USAGE = "workflow_root"
_RESULTS_USAGE = "web_results"
_FIELDS = {_WORKFLOW_USAGE: "workflow_block", _RESULTS_USAGE: "web_result_block"}
_WORDLESS = frozenset({_RESULTS_USAGE, "pro_search_steps", "answer_tabs", "plan", "sources_answer_mode"})
"""Blocks that were seen, and that hold no words for the reader."""
_KNOWN_FIELDS = frozenset({"answer", "progress", "blocks", "diff_blocks", "status"})


@dataclass
class MessagesSoFar:
    """Folds messages, one after the other. `text` is what a reader may be shown now.

    `accepted` is the answer's text once a message made it one: a completed last message that carries an answer, or
    `progress: "DONE"` with a string. `complete` says that nothing after it can change it. `refusal`: what upstream
    marked instead of an answer. `unknown`: the message that nobody here can read, though an answer may be in it.
    """

    text: str = ""
    count: int = 0
    accepted: str | None = None
    complete: bool = False
    last: dict[str, Any] = field(default_factory=dict)
    backend_uuid: str | None = None
    refusal: Refusal | None = None
    unknown: dict[str, Any] | None = None
    _blocks: dict[str, Any] = field(default_factory=dict)

    def add(self, message: dict[str, Any]) -> None:
        self.count += 1
        self.last = message
        if isinstance(uuid := message.get("backend_uuid"), str) and uuid:
            self.backend_uuid = uuid
        self.refusal = refusal_in(message) or self.refusal
        if not message.keys() & _KNOWN_FIELDS:
            self.unknown = message
            return
        self.unknown = None
        if ("answer" in message or "progress" in message) and "blocks" not in message:
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
        blocks = [*texts.dicts(message.get("blocks")), *texts.dicts(message.get("diff_blocks"))]
        spoken = [usage for block in blocks if _is_of_text(usage := self._fold(block))]
        if spoken:
            self.text = self._shown()
        if is_completed(message):
            self.complete = True
            self._complete(message, blocks, spoken=bool(spoken))
        elif self.refusal is not None and message.get("final_sse_message") is True:
            self.complete = True

    def _complete(self, message: dict[str, Any], blocks: list[dict[str, Any]], *, spoken: bool) -> None:
        """The answer, if the last message carries one. What was streamed before it does not make it one."""
        answer = (self._shown() if spoken else "") or texts.of_message(message.get("text"))
        self.accepted = answer if shows_something(answer) else None
        if self.accepted is not None:
            self.text = self.accepted
        elif any(_is_strange(block) for block in blocks) or texts.has_unknown_steps(message.get("text")):
            self.unknown = message

    def _fold(self, block: dict[str, Any]) -> str:
        """Takes over one block if it matters to us; gives its usage, or an empty string."""
        usage = block.get("intended_usage")
        if not isinstance(usage, str):
            return ""
        if (name := _field_of(usage)) is not None:
            self._take(usage, block, name)
        return usage

    def _take(self, usage: str, block: dict[str, Any], name: str) -> None:
        if isinstance(whole := block.get(name), dict):
            self._blocks[usage] = _with_earlier_chunks(whole, self._blocks.get(usage))
        for diff in [block.get("diff_block"), *texts.dicts(block.get("diff_blocks"))]:
            if isinstance(diff, dict) and diff.get("field") == name:
                self._blocks[usage] = patched(self._blocks.get(usage), diff.get("patches"))

    def _shown(self) -> str:
        workflow = self._blocks.get(_WORKFLOW_USAGE)
        return self._joined(texts.of_markdown) or (texts.of_workflow(workflow) if isinstance(workflow, dict) else "")

    def _joined(self, text_of: Callable[[dict[str, Any]], str]) -> str:
        """Text of the block `ask_text`, which has everything; else of its numbered kind, in order."""
        found = {usage: block for usage, block in self._blocks.items() if usage.startswith(_TEXT_USAGE)}
        chosen = [found[_TEXT_USAGE]] if _TEXT_USAGE in found else list(found.values())
        return "".join(text_of(block) for block in texts.dicts(chosen))


def _is_of_text(usage: str) -> bool:
    return usage.startswith(_TEXT_USAGE) or usage == _WORKFLOW_USAGE


def _field_of(usage: str) -> str | None:
    """Where a block of that usage has what matters to us."""
    return "markdown_block" if usage.startswith(_TEXT_USAGE) else _FIELDS.get(usage)


def _is_strange(block: dict[str, Any]) -> bool:
    """Whether a block may hold words that nobody here can read: of an unknown usage, or in an unknown field."""
    usage = texts.string(block.get("intended_usage"))
    if usage in _WORDLESS:
        return False
    name = _field_of(usage)
    if name is None or not (name in block or "diff_block" in block or "diff_blocks" in block):
        return True
    return texts.has_more(block.get(name))


def _continued(earlier: str, piece: str) -> str:
    """`answer_only=true` does not say whether a piece is all so far or only what is new."""
    return piece if piece.startswith(earlier) else earlier + piece


def _with_earlier_chunks(block: dict[str, Any], earlier: Any) -> dict[str, Any]:
    """A whole block in progress may hold only chunks from `chunk_starting_offset` on: put the earlier ones before."""
    offset = block.get("chunk_starting_offset")
    if block.get("progress") == "DONE" or texts.string(block.get("answer")) or not isinstance(earlier, dict):
        return block
    before, new = texts.chunks(earlier), texts.chunks(block)
    if not isinstance(offset, int):
        offset = 0 if "".join(new).startswith("".join(before)) else len(before)
    return {**block, "chunks": before[:offset] + new} if offset > 0 else block
