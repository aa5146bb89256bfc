"""Tells what was meant as an action from what is only JSON, code or prose: shared by `reading` and `stream_filter`.

A whole object is judged by its keys, a gap (prose, broken or cut-off objects) by what it mentions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from actions.folding import KnownNames, folded, skeleton
from actions.relaxed_json import escaped

_CALLS = frozenset(["name", "tool", "toolname", "function", "functionname"])
_ARGUMENTS = frozenset(["arguments", "args", "parameters", "params", "input", "metadata", "reason"])
_OTHER_KEYS = frozenset(["reason", "metadata", "pack"])
_LOOKS_LIKE_A_NAME = re.compile(r"\S{1,64}")

_NAME = r'[ \t]{0,9}:\s{0,9}"?(?P<name>[^"\n,}]{0,80})'
_KEY = re.compile(rf'(?:"\s{{0,9}}action\s{{0,9}}"|\{{\s{{0,99}}action)\s{{0,9}}{_NAME}')
_LINE = re.compile(r"^[ \t>*`-]{0,9}action[*`]{0,2}[ \t]{0,9}:(?P<name>[^\n]{0,80})$", re.MULTILINE | re.IGNORECASE)
_KEY_LINE = re.compile(r"^[ \t>*`-]{0,9}(?:reason|metadata)[*`]{0,2}[ \t]{0,9}:", re.MULTILINE | re.IGNORECASE)
_GARBLED = re.compile(r'\{\s{0,99}"?action[\s":=,\[\]\\]{1,12}(?P<name>[^\s":,}\]]{1,80})')
_QUOTED = re.compile(r'"(?P<name>[^"\s]{1,80})"')
_OTHER_KEY = re.compile(r'(?<!\w)"?(?:reason|metadata)"?\s{0,9}:')
_QUOTED_KEY = re.compile(r'"(?:reason|metadata)"\s{0,9}:')
_BEGINNING = re.compile(r"\s*+(?:```\s*+(?:json\s*+)?)?\{?\s*+")
_CUT_KEY = re.compile(r'\{\s{0,99}"?a(?:c(?:t(?:i(?:o(?:n(?:"\s{0,9})?)?)?)?)?)?$')


class Meant(Enum):
    """Whether an object was meant as an action. IF_ALONE: if there is nothing else in the output."""

    NO = auto()
    IF_ALONE = auto()
    YES = auto()


@dataclass(frozen=True)
class Judgement:
    meant: Meant
    value: dict[str, Any] = field(default_factory=dict)
    """The object that is meant."""
    path: str = ""
    """JSON pointer to it; not empty if it stands inside another one."""


def judge(value: dict[str, Any], names: KnownNames) -> Judgement:
    """What a whole object is."""
    if any(_key(key) == "action" for key in value) or _is_call(value, names):
        meant = _judge_request(value, names)
        if meant is not Meant.NO:
            return Judgement(meant, value)
    elif (meant := _judge_nameless(value, names)) is not Meant.NO:
        return Judgement(meant, value)
    for path, inner in _inner_objects(value):
        if names_known(inner, names) or _is_call(inner, names):
            return Judgement(Meant.YES, inner, path)
    return Judgement(Meant.NO)


def _judge_request(value: dict[str, Any], names: KnownNames) -> Meant:
    if names_known(value, names) or _is_call(value, names):
        return Meant.YES
    keys = {_key(key): item for key, item in value.items()}
    if {"reason", "metadata"} <= keys.keys():
        return Meant.YES
    name = keys.get("action")
    if isinstance(name, str) and _LOOKS_LIKE_A_NAME.fullmatch(name.strip()):
        return Meant.YES if {"reason", "metadata"} & keys.keys() else Meant.IF_ALONE
    return Meant.NO


def _judge_nameless(value: dict[str, Any], names: KnownNames) -> Meant:
    """Of an object without an `action` key: with the others it is a request whose name is missing, or under a wrong
    key. With anything else beside them it is JSON like any other."""
    others = {key: item for key, item in value.items() if _key(key) not in _OTHER_KEYS}
    if not {"reason", "metadata"} <= {_key(key) for key in value}:
        return Meant.NO
    if any(names.resembled_by(item) for item in others.values()):
        return Meant.YES
    return Meant.NO if others else Meant.IF_ALONE


def names_known(value: dict[str, Any], names: KnownNames) -> bool:
    """Whether an `action` key, however it is spelt, names a known action, be it inside a list."""
    named = [item for key, item in value.items() if _key(key) == "action"]
    return any(names.resembled_by(name) for item in named for name in (item if isinstance(item, list) else [item]))


def _is_call(value: dict[str, Any], names: KnownNames) -> bool:
    """Whether it is a function call as other models' interfaces have it."""
    keys = {_key(key) for key in value}
    return bool(keys & _ARGUMENTS) and any(
        _key(key) in _CALLS and names.resembled_by(item) for key, item in value.items()
    )


def _key(key: str) -> str:
    return skeleton(key) if len(key) <= 64 else key


def _inner_objects(value: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object inside *value*, with its pointer. The reader bounds depth and size."""
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        path, item = waiting.pop()
        if isinstance(item, dict):
            if path:
                yield path, item
            waiting.extend((f"{path}/{escaped(key)}", inner) for key, inner in item.items())
        elif isinstance(item, list):
            waiting.extend((f"{path}/{index}", inner) for index, inner in enumerate(item))


def gap_is_meant(gap: str, names: KnownNames, *, first: bool, last: bool, growing: bool = False) -> bool:
    """Whether what is written outside of whole objects was meant as an action.

    *first*: the output begins here, so an object at its start is meant to be all of it, whatever it names. *last*: it
    ends here, so a name may be cut off. *growing*: the gap goes on, so a name at its end may become another one.
    """
    text = folded(gap)
    if any(_is_named(match["name"], names, gap) for match in _LINE.finditer(gap)):
        return True
    if last and _CUT_KEY.search(text):
        return True
    has_other_key = _OTHER_KEY.search(text) is not None
    is_json = has_other_key and ("{" in text or _QUOTED_KEY.search(text) is not None)
    telling = [_GARBLED, _QUOTED] if is_json else [_GARBLED]
    found = [match for pattern in telling for match in pattern.finditer(text)]
    if any(names.resembled_by(each["name"]) and not (growing and each.end() == len(text)) for each in found):
        return True
    for match in _KEY.finditer(text):
        cut = last and match.end() == len(text)
        begins = first and _BEGINNING.fullmatch(text, 0, match.start()) is not None
        unsure = growing and match.end() == len(text)
        if cut or begins or (not unsure and (has_other_key or names.resembled_by(match["name"]))):
            return True
    return False


def _is_named(said: str, names: KnownNames, gap: str) -> bool:
    """Whether a line `action: …` names a known action and nothing else. Spelt as it is spelt: a heading in an answer
    may say the same in plain words, and where the name is a plain word, only a further such line tells."""
    name = said.strip(" \t*`\"'")
    return name in names and ("_" in name or _KEY_LINE.search(gap) is not None)


def mentions_action(gap: str) -> bool:
    """Whether an `action` key, or the beginning of one, is in *gap*: nobody can tell yet what it will name."""
    text = folded(gap)
    return _KEY.search(text) is not None or _CUT_KEY.search(text) is not None
