"""Which parts of a JSON Schema speak of one value: what it refers to, combines and leaves open counts too.

Every branch counts, fitting or not: who looks for what must not be shown is rather told too much. An object's fields
and a list's items are spoken of by all schemas that speak of the object or list.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from actions.metadata_schemas import Schema, target_of

_ALWAYS = ("allOf",)
_MAYBE = ("anyOf", "oneOf")
_MAYBE_ONE = ("if", "then", "else")


class SchemaParts:
    """The parts of *root*, whose definitions its references point to."""

    def __init__(self, root: Schema) -> None:
        self._root = root

    def of_value(self, schemas: Iterable[Any], *, certain: bool = False) -> list[Schema]:
        """*schemas* and all that they bring in for the same value, nearest first; *certain*: without alternatives."""
        found: dict[int, Schema] = {}
        waiting = deque(schemas)
        while waiting:
            schema = waiting.popleft()
            if isinstance(schema, dict) and id(schema) not in found:
                found[id(schema)] = schema
                waiting.extend(self._brought_in(schema, certain))
        return list(found.values())

    def of_field(self, schemas: Sequence[Schema], name: str) -> list[Schema]:
        """What *schemas* of an object say of its field *name*."""
        return self.of_value(self.fields(schemas, name))

    def fields(self, schemas: Sequence[Schema], name: str) -> list[Any]:
        """The same, without what that brings in."""
        return [part for schema in schemas for part in _of_field(schema, name)]

    def of_item(self, schemas: Sequence[Schema], index: int) -> list[Schema]:
        """What *schemas* of a list say of its item *index*, from 0."""
        return self.of_value(part for schema in schemas for part in _of_item(schema, index))

    def _brought_in(self, schema: Schema, certain: bool) -> Iterator[Any]:
        yield target_of(self._root, schema.get("$ref"))
        for keyword in _ALWAYS if certain else (*_ALWAYS, *_MAYBE):
            yield from _list(schema.get(keyword))
        if not certain:
            yield from (schema.get(keyword) for keyword in _MAYBE_ONE)
            yield from _named(schema.get("dependentSchemas")).values()


def _of_field(schema: Schema, name: str) -> Iterator[Any]:
    properties = _named(schema.get("properties"))
    if name in properties:
        yield properties[name]
    yield from _named(schema.get("patternProperties")).values()  # whatever their pattern
    if name not in properties:
        yield schema.get("additionalProperties")
    yield schema.get("unevaluatedProperties")


def _of_item(schema: Schema, index: int) -> Iterator[Any]:
    first = _list(schema.get("prefixItems"))
    yield first[index] if index < len(first) else schema.get("items")
    yield schema.get("contains")
    yield schema.get("unevaluatedItems")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _named(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
