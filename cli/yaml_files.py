"""YAML as `agent assistant apply` takes it: what JSON could say too, and nothing said twice; each slip with its place.

PyYAML's own loader keeps the last of two equal keys, runs after an anchor that holds itself, and raises whatever its
constructors meet. Here its nodes are read one by one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import yaml
from yaml.constructor import SafeConstructor

from actions.relaxed_json import escaped
from schemas.requests import storable

_TAG = "tag:yaml.org,2002:"
_MOST_VALUES = 100_000
"""Counted with every alias written out: few lines may stand for millions."""
_DEEPEST = 64
_LONGEST_NUMBER = 300
_MOST_PROBLEMS = 20


class Unusable(Exception):
    """What is wrong in a file, as one line: each place, and why."""


def read_yaml(text: str) -> Any:
    """The one value that *text* holds, of JSON's kinds; None for no value at all. Raises Unusable."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise Unusable(" ".join(str(error).split())[:300]) from None
    except RecursionError:
        raise Unusable("it is nested too deeply") from None
    if node is None:
        return None
    reader = _Reader()
    value = reader.value(node, "", ())
    if reader.problems:
        raise Unusable("; ".join(reader.problems[:_MOST_PROBLEMS]))
    return value


class _Reader:
    """Reads nodes, and collects what is wrong in them."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._left = _MOST_VALUES
        self._scalars = SafeConstructor()

    def value(self, node: yaml.Node, path: str, around: tuple[yaml.Node, ...]) -> Any:
        """What *node* at *path* says, within the nodes *around* it."""
        self._left -= 1
        if self._left < 0:
            if self._left == -1:
                self._wrong(node, path, f"with its aliases written out there are more than {_MOST_VALUES} values")
        elif any(node is each for each in around):
            self._wrong(node, path, "holds itself")
        elif len(around) >= _DEEPEST:
            self._wrong(node, path, f"is nested deeper than {_DEEPEST}")
        elif isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, (*around, node))
        elif isinstance(node, yaml.SequenceNode):
            return self._list(node, path, (*around, node))
        else:
            return self._scalar(node, path)
        return None

    def _mapping(self, node: yaml.MappingNode, path: str, around: tuple[yaml.Node, ...]) -> dict[str, Any]:
        if node.tag != f"{_TAG}map":
            self._wrong(node, path, f"{_name(node.tag)} is no kind of value here")
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, inner in node.value:
            if key.tag == f"{_TAG}merge":
                for each in self._merged(inner, path, around):
                    merged = {**each, **merged}
                continue
            name = self._key(key, path)
            if name in found:
                self._wrong(key, f"{path}/{escaped(name)}", "is there twice")
            elif name is not None:
                found[name] = self.value(inner, f"{path}/{escaped(name)}", around)
        return {**merged, **found}

    def _merged(self, node: yaml.Node, path: str, around: tuple[yaml.Node, ...]) -> Iterator[dict[str, Any]]:
        """The mappings that `<<` brings in: where one key comes several times, the first counts."""
        for each in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            value = self.value(each, path, around)
            if isinstance(value, dict):
                yield value
            else:
                self._wrong(each, path, "<< takes mappings alone")

    def _key(self, node: yaml.Node, path: str) -> str | None:
        if isinstance(node, yaml.ScalarNode) and node.tag == f"{_TAG}str":
            name = self._text(node, path)
            return None if name is None else str(name)
        told = f"the key {node.value[:40]} is no text: put it in quotes" if isinstance(node, yaml.ScalarNode) else None
        self._wrong(node, path, told or "a key is no text")
        return None

    def _list(self, node: yaml.SequenceNode, path: str, around: tuple[yaml.Node, ...]) -> list[Any]:
        if node.tag != f"{_TAG}seq":
            self._wrong(node, path, f"{_name(node.tag)} is no kind of value here")
            return []
        return [self.value(each, f"{path}/{index}", around) for index, each in enumerate(node.value)]

    def _scalar(self, node: yaml.Node, path: str) -> Any:
        kind = node.tag.removeprefix(_TAG)
        if kind == "str":
            return self._text(node, path)
        if kind == "null" and node.value.lower() in {"", "~", "null"}:
            return None
        if kind == "bool" and node.value.lower() in SafeConstructor.bool_values:
            return SafeConstructor.bool_values[node.value.lower()]
        if kind in {"int", "float"}:
            return self._number(node, path, kind)
        if kind == "timestamp":
            return self._wrong(node, path, f"{node.value[:40]} is a date: put it in quotes to mean text")
        return self._wrong(node, path, f"{_name(node.tag)} is no kind of value here")

    def _text(self, node: yaml.Node, path: str) -> Any:
        try:
            return storable(str(node.value))
        except ValueError as error:
            return self._wrong(node, path, str(error))

    def _number(self, node: yaml.Node, path: str, kind: str) -> Any:
        if len(node.value) > _LONGEST_NUMBER:
            return self._wrong(node, path, f"a number may have at most {_LONGEST_NUMBER} characters")
        scalar = yaml.ScalarNode(node.tag, node.value)
        try:
            number: int | float = (
                self._scalars.construct_yaml_int(scalar)
                if kind == "int"
                else self._scalars.construct_yaml_float(scalar)
            )
        except (ValueError, IndexError, OverflowError):
            return self._wrong(node, path, f"{node.value[:40]!r} is no number")
        return number if math.isfinite(number) else self._wrong(node, path, f"{node.value[:40]} is no JSON value")

    def _wrong(self, node: yaml.Node, path: str, message: str) -> None:
        self.problems.append(f"{path or '/'}: {message} (line {node.start_mark.line + 1})")


def _name(tag: str) -> str:
    return "!!" + tag.removeprefix(_TAG) if tag.startswith(_TAG) else tag[:60]
