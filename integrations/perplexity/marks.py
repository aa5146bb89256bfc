"""What upstream says of an answer that is none (a status, an error code), and the names of a shape that nobody knows.

No words of anybody are in either: identifiers only, and what looks like none is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from integrations.perplexity.texts import dicts, string
from schemas.failures import ModelFailureKind

_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,48}")
_MOST_NAMES = 60
_COMPLETED = "COMPLETED"
_UNDER_WAY = frozenset({"", "PENDING", "IN_PROGRESS", "STREAMING", "RESUMING", "QUEUED"})
_REFUSALS = frozenset({"FAILED", "ERROR", "BLOCKED", "REJECTED", "REFUSED", "CANCELLED", "CANCELED", "ABORTED"})
_LIMIT = re.compile(r"limit|quota|too.?many|exhaust|credits|no.?remaining", re.IGNORECASE)


@dataclass(frozen=True)
class Refusal:
    """Upstream marks that there is no answer. `said`: its own words about it."""

    status: str
    code: str
    said: str

    @property
    def kind(self) -> ModelFailureKind:
        named = _LIMIT.search(f"{self.status} {self.code}") or (not self.code and _LIMIT.search(self.said))
        return ModelFailureKind.LIMIT if named else ModelFailureKind.REFUSED

    @property
    def why(self) -> str:
        code = f", error_code {self.code}" if self.code else ""
        return f"upstream marks it: status {self.status or 'none'}{code}"


def refusal_in(message: dict[str, Any]) -> Refusal | None:
    """What *message* marks. One with an answer may still be accepted, whatever it marks."""
    status, code = _name(message.get("status")), _name(message.get("error_code"))
    is_last = message.get("final_sse_message") is True
    ends = status.upper() in _REFUSALS or (is_last and status.upper() not in {_COMPLETED, *_UNDER_WAY})
    if not (code or ends):
        return None
    return Refusal(status, code, string(message.get("text")))


def is_completed(message: dict[str, Any]) -> bool:
    """Whether it is the last message, and whole (docs/wrapper.md)."""
    return message.get("status") == _COMPLETED and message.get("final_sse_message") is True


def shape_of(message: dict[str, Any]) -> str:
    """The names of its fields, and of its blocks with their fields and those one level below."""
    fields = f"fields {_listed(message)}"
    blocks = [f"{_name(each.get('intended_usage')) or '?'}({_inside(each)})" for each in dicts(message.get("blocks"))]
    return f"{fields}; blocks {' '.join(blocks[:_MOST_NAMES])}" if blocks else fields


def blocks_of(message: dict[str, Any]) -> str:
    """The names of its blocks alone, each once."""
    names = {_name(each.get("intended_usage")) or "?" for each in dicts(message.get("blocks"))}
    return ",".join(sorted(names)[:_MOST_NAMES]) or "none"


def _inside(block: dict[str, Any]) -> str:
    fields = {name: value for name, value in block.items() if name != "intended_usage"}
    below = {name: f"{{{_listed(value)}}}" if isinstance(value, dict) else "" for name, value in fields.items()}
    return ", ".join(f"{_name(name) or '?'}{below[name]}" for name in sorted(fields)[:_MOST_NAMES])


def _listed(names: Iterable[str]) -> str:
    shown = sorted({_name(name) or "?" for name in names})
    return ", ".join(shown[:_MOST_NAMES]) + (", …" if len(shown) > _MOST_NAMES else "")


def _name(value: Any) -> str:
    """*value* if it is an identifier, else nothing. A number may be one."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) and value != 0 else ""
    return text if _NAME.fullmatch(text) else ("?" if text.strip() else "")
