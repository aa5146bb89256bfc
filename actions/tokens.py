"""The words of relaxed JSON: strings in any quotes, numbers, comments, names. One pattern, no backtracking.

Used by `relaxed_json`, which knows the grammar. A token is at least one character, so reading always moves on.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any


class Kind(Enum):
    SPACE = auto()
    COMMENT = auto()
    STRING = auto()
    NUMBER = auto()
    WORD = auto()
    MARK = auto()  # { } [ ] : ,
    OTHER = auto()  # a character that has no business here
    UNFINISHED = auto()  # begins like a token that the text does not end


@dataclass(frozen=True)
class Token:
    kind: Kind
    text: str
    end: int


_CLOSERS = {
    '"': '"',
    "'": "'",
    "“": "”“",
    "”": "”",
    "„": "“”",
    "‟": "”",
    "«": "»",
    "‘": "’‘",
    "’": "’",
    "‚": "‘’",
    "＂": "＂",
    "＇": "＇",
}


def _string_pattern(opener: str, closers: str) -> str:
    stop = re.escape(closers)
    return rf"{re.escape(opener)}(?:[^{stop}\\]++|\\.)*+[{stop}]"


_STRING = "|".join(_string_pattern(*pair) for pair in _CLOSERS.items())
_PATTERN = re.compile(
    rf"""(?P<SPACE>[\ \t\r\n\u00a0\u200b\ufeff]++)
    |(?P<COMMENT>//[^\n]*+\n|/\*(?:[^*]++|\*(?!/))*+\*/|\#[^\n]*+\n)
    |(?P<STRING>{_STRING})
    |(?P<NUMBER>[-+.]?\d[\w.+-]*+)
    |(?P<WORD>-?[^\W\d][\w$-]*+)
    |(?P<MARK>[{{}}\[\]:,])
    """,
    re.VERBOSE | re.DOTALL,
)
_BEGUN = re.compile(rf"[{''.join(_CLOSERS)}#]|//|/\*|/\Z")
_ESCAPED = re.compile(r'\\(.)|"', re.DOTALL)
NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
CONTROL = re.compile(r"[\x00-\x1f]")


def next_token(text: str, position: int) -> Token:
    """The token at *position*, which is inside *text*. UNFINISHED reaches to the end of *text*."""
    match = _PATTERN.match(text, position)
    if match is not None:
        kind = Kind[str(match.lastgroup)]
        return Token(kind, match.group(), match.end())
    if _BEGUN.match(text, position):
        return Token(Kind.UNFINISHED, text[position:], len(text))
    return Token(Kind.OTHER, text[position], position + 1)


def may_grow(token: Token) -> bool:
    """Whether more text behind it could make this token another one."""
    return token.kind in (Kind.NUMBER, Kind.WORD)


def string_value(token: str) -> str:
    """What a string token says. Raises ValueError for an escape that JSON does not know."""
    inner = token[1:-1]
    if token[0] != '"':
        inner = _ESCAPED.sub(_as_in_json, inner)
    value: Any = json.loads(f'"{inner}"', strict=False)
    return str(value)


def _as_in_json(match: re.Match[str]) -> str:
    escaped = match.group(1)
    if escaped is None:
        return '\\"'
    return escaped if escaped in _CLOSERS and escaped != '"' else match.group()
