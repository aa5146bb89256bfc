"""JSON Patch (RFC 6902) as upstream uses it to stream a block: `replace ""`, `add`, `replace`, `remove`.

Lenient where the RFC is strict: a patch that does not fit is passed over, since the next `replace /answer` brings the
whole text again, and the last message is whole anyway.
"""

from __future__ import annotations

from typing import Any


def patched(document: Any, patches: Any) -> Any:
    """*document* after *patches*, changed in place where it can be. Never raises on what upstream sent."""
    for patch in patches if isinstance(patches, list) else []:
        if not isinstance(patch, dict) or not isinstance(path := patch.get("path"), str):
            continue
        operation = patch.get("op")
        if path == "":
            document = patch.get("value") if operation in ("add", "replace") else document
        else:
            _apply(document, [_unescaped(part) for part in path.split("/")[1:]], operation, patch.get("value"))
    return document


def _unescaped(part: str) -> str:
    return part.replace("~1", "/").replace("~0", "~")


def _apply(document: Any, parts: list[str], operation: Any, value: Any) -> None:
    *way, last = parts
    parent = document
    for part in way:
        parent = _child(parent, part)
    if isinstance(parent, dict):
        _change_object(parent, last, operation, value)
    elif isinstance(parent, list):
        _change_list(parent, last, operation, value)


def _child(parent: Any, part: str) -> Any:
    if isinstance(parent, dict):
        return parent.get(part)
    if isinstance(parent, list) and (index := _index(part)) is not None and index < len(parent):
        return parent[index]
    return None


def _change_object(parent: dict[str, Any], name: str, operation: Any, value: Any) -> None:
    if operation in ("add", "replace"):
        parent[name] = value
    elif operation == "remove":
        parent.pop(name, None)


def _change_list(parent: list[Any], name: str, operation: Any, value: Any) -> None:
    index = len(parent) if name == "-" else _index(name)
    if index is None:
        return
    if operation == "add":
        parent.insert(index, value)
    elif index < len(parent) and operation == "replace":
        parent[index] = value
    elif index < len(parent) and operation == "remove":
        del parent[index]


def _index(part: str) -> int | None:
    return int(part) if part.isascii() and part.isdigit() and len(part) < 10 else None
