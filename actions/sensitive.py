"""Which of an action's values are sensitive, by its schema; wherever people are shown values, these are not.

A value is sensitive if any part of the schema that speaks of it has `x-sensitive: true`, `writeOnly: true` or
`format: password`. What the model really wrote is kept as it is, for the call that needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from actions.metadata_schemas import Schema
from actions.schema_parts import SchemaParts

HIDDEN = "••••"
"""What is shown in the place of a sensitive value."""


def without_sensitive(schema: Schema, values: dict[str, Any]) -> dict[str, Any]:
    """*values*, an object that *schema* describes, with each sensitive one hidden. Names stay."""
    if not has_sensitive(schema):
        return values
    parts = SchemaParts(schema)
    speaking = parts.of_value([schema])
    if any(_is_marked(part) for part in speaking):
        return dict.fromkeys(values, HIDDEN)
    return {name: _shown(value, parts.of_field(speaking, name), parts) for name, value in values.items()}


def has_sensitive(schema: object) -> bool:
    """Whether *schema* marks anything at all, at whatever place."""
    if isinstance(schema, dict):
        return _is_marked(schema) or any(has_sensitive(inner) for inner in schema.values())
    return isinstance(schema, list) and any(has_sensitive(inner) for inner in schema)


def _shown(value: Any, speaking: Sequence[Schema], parts: SchemaParts) -> Any:
    if any(_is_marked(part) for part in speaking):
        return HIDDEN
    if isinstance(value, dict):
        return {name: _shown(inner, parts.of_field(speaking, name), parts) for name, inner in value.items()}
    if isinstance(value, list):
        return [_shown(inner, parts.of_item(speaking, index), parts) for index, inner in enumerate(value)]
    return value


def _is_marked(schema: Schema) -> bool:
    return bool(schema.get("x-sensitive") or schema.get("writeOnly") or schema.get("format") == "password")
