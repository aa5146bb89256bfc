"""The question that a confirmation asks: in the definition's plain words what would be done, and with which values.

Names that only the model and administrators know (an endpoint's, a parameter's) are not shown: a parameter is called
by its `title`, else its `description`. The question is plain text, no Markdown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from actions.builtin import METADATA_MODELS
from actions.folding import without_invisible
from actions.question_words import QuestionWords, words_for
from schemas.actions import ActionDefinition

VALUE_CHARACTERS = 300
ALL_VALUES_CHARACTERS = 3_000
"""So that a question fits into one message of a channel; with more values, long ones are cut shorter."""
LEAST_CHARACTERS = 20
MAX_VALUES = 100
_LABEL_CHARACTERS = 80
_HIDDEN = "••••"
_MARKS = str.maketrans({"•": "·", "›": ">"})
"""What tells values apart; within one they must not."""


@dataclass(frozen=True)
class Parameters:
    """What people see of an action: its values, and the JSON Schema that names them."""

    schema: dict[str, Any]
    values: dict[str, Any]


def question_text(definition: ActionDefinition, parameters: Parameters, language: str = "en") -> str:
    """What the customer is asked. Every value is named; a long one is cut with a mark, a sensitive one not shown."""
    words = words_for(language)
    labels = words.labels if definition.name in METADATA_MODELS else {}
    lines = [_asks(definition, words), *_lines(_Shown(parameters.schema, words, labels), parameters.values)]
    return "\n".join([*lines, words.answer])


def _asks(definition: ActionDefinition, words: QuestionWords) -> str:
    plain = words.plain.get(definition.name) or definition.plain
    if plain:
        return words.asks.format(what=_line(plain))
    return (words.asks_this or words.asks).format(what=_line(definition.description).rstrip(".。!?"))


@dataclass(frozen=True)
class _Shown:
    """How values of *schema*'s fields are called and written."""

    schema: dict[str, Any]
    words: QuestionWords
    labels: dict[str, str]

    def leaves(self, value: Any, schema: Any, label: str = "") -> Iterator[tuple[str, str]]:
        """Label and value of each leaf."""
        schema = self._resolved(schema)
        if _is_sensitive(schema):
            yield label, _HIDDEN
        elif isinstance(value, dict) and value:
            properties = schema.get("properties", {})
            for name, inner in value.items():
                part = self._resolved(properties.get(name, schema.get("additionalProperties")))
                yield from self.leaves(inner, part, _joined(label, self._label(str(name), part)))
        elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
            for number, item in enumerate(value, 1):
                yield from self.leaves(item, schema.get("items"), f"{label} {number}")
        elif label:
            items = value if isinstance(value, list) else [value]
            inner = self._resolved(schema.get("items")) if isinstance(value, list) else schema
            yield label, ", ".join(self._written(item, inner) for item in items) or "–"

    def _label(self, name: str, schema: dict[str, Any]) -> str:
        told = self.labels.get(name) or schema.get("title") or schema.get("description") or name.replace("_", " ")
        return _cut(_line(str(told)), _LABEL_CHARACTERS)

    def _written(self, value: Any, schema: dict[str, Any]) -> str:
        if isinstance(value, bool):
            return self.words.yes if value else self.words.no
        for choice in (*schema.get("oneOf", ()), *schema.get("anyOf", ())):
            if isinstance(choice, dict) and "title" in choice and choice.get("const", choice) == value:
                return _line(str(choice["title"]))
        if "enum" in schema and isinstance(value, str):
            return self.labels.get(value, _line(value))
        return "–" if value is None or value == "" else _line(str(value)) or "–"

    def _resolved(self, schema: Any) -> dict[str, Any]:
        """*schema*, or what it refers to under the words of its own; nothing for what is no schema."""
        if not isinstance(schema, dict):
            return {}
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return schema
        target = self.schema.get("$defs", {}).get(reference.removeprefix("#/$defs/"), {})
        return {**target, **schema} if isinstance(target, dict) else schema


def _lines(shown: _Shown, values: dict[str, Any]) -> list[str]:
    leaves = list(shown.leaves(values, shown.schema))
    listed = leaves[:MAX_VALUES]
    room = max(LEAST_CHARACTERS, min(VALUE_CHARACTERS, _share([len(value) for _, value in listed])))
    lines = [f"• {label}: {_cut(value, room)}" for label, value in listed]
    return lines if len(leaves) <= MAX_VALUES else [*lines, f"• … (+{len(leaves) - MAX_VALUES})"]


def _share(lengths: list[int]) -> int:
    """How long a value may be so that all together are not too long: short ones leave their room to the others."""
    left, share = ALL_VALUES_CHARACTERS, ALL_VALUES_CHARACTERS
    for done, length in enumerate(sorted(lengths)):
        share = left // (len(lengths) - done)
        if length > share:
            return share
        left -= length
    return max(share, max(lengths, default=0))


def _is_sensitive(schema: dict[str, Any]) -> bool:
    return bool(schema.get("x-sensitive") or schema.get("writeOnly") or schema.get("format") == "password")


def _joined(label: str, part: str) -> str:
    return f"{label} › {part}" if label else part


def _line(text: str) -> str:
    """On one line, without invisible characters or our own marks: what is confirmed is what is read."""
    return " ".join(without_invisible(text).translate(_MARKS).split())


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
