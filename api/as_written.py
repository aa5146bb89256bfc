"""The object of a body as its caller wrote it, keys that are there twice included, which JSON's reader would lose."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any


class _Pairs(list[tuple[str, Any]]):
    """An object's fields, in their order."""


def fields_as_written(body: bytes, names: Collection[str]) -> str:
    """The JSON of *body*, an object, with only those of its own fields that are called one of *names*."""
    fields = json.loads(body, object_pairs_hook=_Pairs)
    return _written(_Pairs((name, value) for name, value in fields if name in names))


def _written(value: Any) -> str:
    if isinstance(value, _Pairs):
        return "{" + ", ".join(f"{json.dumps(name)}: {_written(inner)}" for name, inner in value) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_written, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
