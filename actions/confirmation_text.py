"""The question that a confirmation asks: in the definition's plain words what would be done, and with which values.

Names that only the model and administrators know (an endpoint's, a parameter's) are not shown: a parameter is called
by its `title`, else its `description`. The question is plain text, no Markdown.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from actions.builtin import METADATA_MODELS
from actions.folding import without_invisible
from actions.metadata_schemas import Schema
from actions.question_words import QuestionWords, words_for
from actions.schema_parts import SchemaParts
from actions.sensitive import HIDDEN, without_sensitive
from schemas.actions import ActionDefinition
from schemas.visible import shows_something

QUESTION_UNITS = 4_000
"""UTF-16 code units of a whole question: fits into one message of a channel, whatever its titles and values are."""
VALUE_UNITS = 300
LEAST_UNITS = 20
"""A value is cut shorter only where it stands alone; titles are, before that."""
MAX_VALUES = 100
_LABEL_UNITS = 80
_ASKS_UNITS = 300
_JOINERS = "\u200d\ufe0e\ufe0f"
_MARKS = str.maketrans({"•": "·", "›": ">"})
"""What tells values apart; within one they must not."""


@dataclass(frozen=True)
class Parameters:
    """What people see of an action: its values, and the JSON Schema that names them."""

    schema: dict[str, Any]
    values: dict[str, Any]

    @property
    def shown(self) -> dict[str, Any]:
        """The values without what is sensitive."""
        return without_sensitive(self.schema, self.values)


def question_text(definition: ActionDefinition, parameters: Parameters, language: str = "en") -> str:
    """What the customer is asked. Every value is named; a long one is cut with a mark, a sensitive one not shown."""
    return f"{action_text(definition, parameters, language)}\n{words_for(language).answer}"


def action_text(definition: ActionDefinition, parameters: Parameters, language: str = "en") -> str:
    """The same without the call to answer yes or no: what staff read."""
    words = words_for(language)
    labels = words.labels if definition.name in METADATA_MODELS else {}
    shown = _Shown(SchemaParts(parameters.schema), words, labels)
    leaves = list(shown.leaves(parameters.shown, shown.parts.of_value([parameters.schema])))
    asks = _asks(definition, words)
    return "\n".join([asks, *_lines(leaves, QUESTION_UNITS - _units(asks) - _units(words.answer) - 1)])


def _asks(definition: ActionDefinition, words: QuestionWords) -> str:
    plain = words.plain.get(definition.name) or definition.plain
    if plain:
        return words.asks.format(what=_line(plain))
    return (words.asks_this or words.asks).format(what=_cut(_line(definition.description).rstrip(".。!?"), _ASKS_UNITS))


@dataclass(frozen=True)
class _Shown:
    """How values of *schema*'s fields are called and written."""

    parts: SchemaParts
    words: QuestionWords
    labels: dict[str, str]

    def leaves(self, value: Any, schemas: Sequence[Schema], label: str = "") -> Iterator[tuple[str, str]]:
        """Label and value of each leaf; *schemas* are what speaks of *value*."""
        if isinstance(value, dict) and value:
            for name, inner in value.items():
                speaking = self.parts.of_field(schemas, name)
                yield from self.leaves(inner, speaking, _joined(label, self._label(name, schemas)))
        elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
            for index, item in enumerate(value):
                yield from self.leaves(item, self.parts.of_item(schemas, index), f"{label} {index + 1}")
        elif isinstance(value, list):
            items = [self._written(item, self.parts.of_item(schemas, index)) for index, item in enumerate(value)]
            yield label, ", ".join(items) or "–"
        elif label:
            yield label, self._written(value, schemas)

    def _label(self, name: str, schemas: Sequence[Schema]) -> str:
        """What *schemas* of an object call its field *name*: an alternative's title names that alternative."""
        own = self.parts.of_value(self.parts.fields(schemas, name), certain=True)
        titles = [each[key] for key in ("title", "description") for each in own if each.get(key)]
        told = self.labels.get(name) or next(iter(titles), None) or name.replace("_", " ")
        return _cut(_line(str(told)), _LABEL_UNITS)

    def _written(self, value: Any, schemas: Sequence[Schema]) -> str:
        if value == HIDDEN:
            return HIDDEN
        for choice in (each for schema in schemas for each in _choices(schema)):
            if "title" in choice and type(value) is type(choice.get("const")) and choice["const"] == value:
                return _line(str(choice["title"]))
        if isinstance(value, bool):
            return self.words.yes if value else self.words.no
        if isinstance(value, str) and any("enum" in each for each in schemas):
            return self.labels.get(value, _line(value))
        written = "" if value is None else _line(str(value))
        return written if shows_something(written) else "–"


def _lines(leaves: Sequence[tuple[str, str]], units: int) -> list[str]:
    """One for each leaf, all together in so many *units*: long values are cut first, then long labels."""
    listed = leaves[:MAX_VALUES]
    more = [] if len(leaves) <= MAX_VALUES else [f"• … (+{len(leaves) - MAX_VALUES})"]
    room = units - sum(_units(line) + 1 for line in (*more, *["• : "] * len(listed)))
    labels, values = [_units(label) for label, _ in listed], [_units(value) for _, value in listed]
    longest_label = min(_LABEL_UNITS, _share(labels, room - sum(min(LEAST_UNITS, value) for value in values)))
    longest = min(VALUE_UNITS, _share(values, room - sum(min(longest_label, label) for label in labels)))
    return [*(f"• {_cut(label, longest_label)}: {_cut(value, longest)}" for label, value in listed), *more]


def _share(lengths: list[int], room: int) -> int:
    """How long each may be so that all together fit into *room*: short ones leave theirs to the others."""
    left = share = room
    for done, length in enumerate(sorted(lengths)):
        share = left // (len(lengths) - done)
        if length > share:
            return share
        left -= length
    return max(share, max(lengths, default=0))


def _choices(schema: Schema) -> Iterator[Schema]:
    """The values that *schema* lets choose from, each with a title of its own."""
    yield from (each for each in (*schema.get("oneOf", ()), *schema.get("anyOf", ())) if isinstance(each, dict))


def _joined(label: str, part: str) -> str:
    return f"{label} › {part}" if label else part


def _line(text: str) -> str:
    """On one line, without invisible characters or our own marks: what is confirmed is what is read."""
    return " ".join(without_invisible(text).translate(_MARKS).split())


def _cut(text: str, units: int) -> str:
    """At most so many *units*, with a mark where something is left out; no character loses a part of itself."""
    if _units(text) <= units:
        return text
    kept = ""
    for letter in text:
        units -= _units(letter)
        if units < 1:
            break
        kept += letter
    while kept and (unicodedata.combining(kept[-1]) or kept[-1] in _JOINERS):
        kept = kept[:-1]
    return kept.rstrip() + "…"


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
