"""Texts of an assistant's configuration, checked when they are saved: whoever is to read one must see something.

A customer confirms what they read: a parameter whose title shows nothing would be missing from the question.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from actions.metadata_schemas import Schema, subschemas
from actions.relaxed_json import escaped
from schemas.actions import ConfigurationProblem
from schemas.visible import shows_something

_NOT_TEXTS = {"metadata_schema", "params_schema", "example"}
"""Of the schemas only what people read counts (`unseen_labels`)."""
_UNSEEN = "nothing of it can be seen"


def unseen_texts(body: object, path: str = "") -> Iterator[ConfigurationProblem]:
    """Each text of a part of a configuration that is there and shows nothing, with JSON pointers into that part."""
    if isinstance(body, str) and body and not shows_something(body):
        yield ConfigurationProblem(path=path, message=_UNSEEN)
    elif isinstance(body, Mapping):
        for name, inner in body.items():
            if name not in _NOT_TEXTS:
                yield from unseen_texts(inner, f"{path}/{escaped(str(name))}")
    elif isinstance(body, list | tuple):
        for index, inner in enumerate(body):
            yield from unseen_texts(inner, f"{path}/{index}")


def unseen_labels(schema: Schema) -> Iterator[ConfigurationProblem]:
    """The same of what people read of a sound JSON Schema: titles, descriptions, and the names of fields."""
    for path, part in subschemas(schema):
        read: dict[str, Any] = {key: part[key] for key in ("title", "description") if key in part}
        yield from unseen_texts(read, path)
        for name in part.get("properties", {}):
            if not shows_something(name):
                yield ConfigurationProblem(path=f"{path}/properties", message="the name of a field shows nothing")
