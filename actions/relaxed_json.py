"""Reads one JSON object out of text that may go on before and behind it, and may still be growing.

Harmless breakage is mended and noted: trailing commas, other quotes, comments, bare keys, Python's literals, raw line
breaks. Nothing is ever guessed: what is cut stays OPEN, what is garbled is BROKEN. (A general repair library fills in
values and drops repeated keys silently, which is how an action comes about by accident.) Every character is consumed
once, whatever the text: `steps` counts the work.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from actions.limits import ReadingLimits
from actions.tokens import CONTROL, NUMBER, Kind, Token, may_grow, next_token, string_value
from schemas.turns import ErrorCode, OutputError


class Status(Enum):
    OPEN = auto()  # not closed yet; at the end of an output: cut off
    WHOLE = auto()
    BROKEN = auto()


class _Wants(Enum):
    FIRST = auto()  # a key (or an item), or the end
    NEXT = auto()  # the same, after a comma
    COLON = auto()
    VALUE = auto()
    COMMA = auto()  # or the end


class Repeated(list[Any]):
    """The values of a key that is there more than once; a fault says so, and the object is never used."""


@dataclass
class _Frame:
    """An object or array that is not closed yet."""

    container: dict[str, Any] | list[Any]
    wants: _Wants = _Wants.FIRST
    key: str = ""

    @property
    def pointer_part(self) -> str:
        if isinstance(self.container, list):
            return f"/{len(self.container)}"
        return "/" + escaped(self.key) if self.key else ""

    def put(self, value: Any) -> None:
        if isinstance(self.container, list):
            self.container.append(value)
        elif self.key not in self.container:
            self.container[self.key] = value
        else:
            before = self.container[self.key]
            values = before if isinstance(before, Repeated) else Repeated([before])
            values.append(value)
            self.container[self.key] = values
        self.wants = _Wants.COMMA


@dataclass
class RelaxedObject:
    """The object that begins at `start`. Call `advance` with the whole text as often as it grows.

    `value` is filled while reading; it counts only once `status` is WHOLE. `faults` are things in a whole object
    that make it no valid JSON (repeated keys, NaN, …); `problem` says why it is BROKEN, and `resume` where the text
    behind it begins.
    """

    start: int
    limits: ReadingLimits = field(default_factory=ReadingLimits)
    status: Status = Status.OPEN
    value: dict[str, Any] = field(default_factory=dict)
    mended: dict[str, None] = field(default_factory=dict)
    faults: list[OutputError] = field(default_factory=list)
    problem: OutputError | None = None
    has_quoted_key: bool = False
    steps: int = 0

    def __post_init__(self) -> None:
        self.end = self.start + 1
        self.resume = self.end
        self._key_is_quoted = False
        self._stack = [_Frame(self.value)]

    def advance(self, text: str, *, final: bool) -> Status:
        """Reads on to the object's end or the text's. *final*: the text will not grow any more."""
        while self._is_open and self.end < len(text):
            token = next_token(text, self.end)
            self.steps += token.end - self.end
            if token.end - self.start > self.limits.object_characters:
                self._give_up(f"larger than {self.limits.object_characters} characters", token)
            elif token.kind is Kind.UNFINISHED or (not final and token.end == len(text) and may_grow(token)):
                break
            else:
                self._take(token)
            if self.problem is None:
                self.end = self.resume = token.end
        return self.status

    @property
    def keys(self) -> frozenset[str]:
        """The object's own keys so far, the one whose value is not finished included."""
        return frozenset([*self.value, *(frame.key for frame in self._stack[:1])])

    @property
    def _is_open(self) -> bool:
        return self.status is Status.OPEN

    def _take(self, token: Token) -> None:
        if token.kind is Kind.SPACE:
            return
        if token.kind is Kind.COMMENT:
            self._mend("a comment")
        elif token.kind is Kind.OTHER:
            self._unexpected(token)
        elif token.text in ("}", "]") and token.kind is Kind.MARK:
            self._close(token)
        elif self._stack[-1].wants in (_Wants.COLON, _Wants.COMMA):
            self._separate(token)
        elif isinstance(self._stack[-1].container, dict) and self._stack[-1].wants is not _Wants.VALUE:
            self._take_key(token)
        else:
            self._take_value(token)

    def _close(self, token: Token) -> None:
        frame = self._stack[-1]
        if frame.wants in (_Wants.COLON, _Wants.VALUE) or (token.text == "}") != isinstance(frame.container, dict):
            self._unexpected(token)
            return
        if frame.wants is _Wants.NEXT:
            self._mend("a trailing comma")
        self._stack.pop()
        if not self._stack:
            self.status = Status.WHOLE
        else:
            self._stack[-1].put(frame.container)

    def _separate(self, token: Token) -> None:
        frame = self._stack[-1]
        if frame.wants is _Wants.COLON and token.text == ":":
            frame.wants = _Wants.VALUE
            self.has_quoted_key = self.has_quoted_key or self._key_is_quoted
        elif frame.wants is _Wants.COMMA and token.text == ",":
            frame.wants, frame.key = _Wants.NEXT, ""
        else:
            self._unexpected(token)

    def _take_key(self, token: Token) -> None:
        frame = self._stack[-1]
        assert isinstance(frame.container, dict)
        if token.kind is Kind.WORD:
            self._mend("a key without quotes")
            frame.key = token.text
            self._key_is_quoted = False
        elif token.kind is Kind.STRING:
            frame.key = self._string(token)
            self._key_is_quoted = True
        else:
            self._unexpected(token)
            return
        if frame.key in frame.container:
            self._fault("the key is there twice", ErrorCode.DUPLICATE_KEY)
        frame.wants = _Wants.COLON

    def _take_value(self, token: Token) -> None:
        frame = self._stack[-1]
        if token.text in ("{", "[") and token.kind is Kind.MARK:
            self._open(token)
        elif token.kind is Kind.STRING:
            frame.put(self._string(token))
        elif token.kind is Kind.NUMBER:
            frame.put(self._number(token.text))
        elif token.text in _LITERALS:
            if token.text in _FOREIGN:
                self._mend(f"`{token.text}` for `{_FOREIGN[token.text]}`")
            frame.put(_LITERALS[token.text])
        elif token.text in _NO_JSON:
            self._fault(f"{token.text} is no JSON value")
            frame.put(None)
        else:
            self._unexpected(token)

    def _open(self, token: Token) -> None:
        if len(self._stack) >= self.limits.depth:
            self._give_up(f"nested deeper than {self.limits.depth} levels", token)
            return
        self._stack.append(_Frame({} if token.text == "{" else []))

    def _string(self, token: Token) -> str:
        if token.text[0] != '"':
            self._mend('other quotes than "')
        if CONTROL.search(token.text):
            self._mend("a raw line break or tab in a string")
        try:
            value = string_value(token.text)
        except ValueError:
            self._fault("has an escape that JSON does not know")
            return token.text[1:-1]
        if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
            self._fault("holds a character that cannot be stored")
        return value

    def _number(self, text: str) -> int | float | None:
        if not NUMBER.fullmatch(text) or len(text) > self.limits.number_characters:
            self._fault("is no number that JSON knows, or too long a one")
            return None
        number = float(text) if any(mark in text for mark in ".eE") else int(text)
        if not math.isfinite(number):
            self._fault("is too large a number")
            return None
        return int(number) if abs(number) < _EXACT and number == int(number) else number

    def _mend(self, what: str) -> None:
        self.mended[what] = None

    def _fault(self, message: str, code: ErrorCode = ErrorCode.NOT_JSON) -> None:
        if len(self.faults) < self.limits.errors:
            self.faults.append(OutputError(path=self._pointer(), message=message, code=code))

    def _unexpected(self, token: Token) -> None:
        place = f"character {self.end - self.start + 1} of the object"
        shown = f": {token.text!r}" if token.kind is Kind.MARK else ""  # nobody's words: messages name rules
        self._give_up(f"not JSON at {place}{shown}", token)

    def _give_up(self, message: str, token: Token) -> None:
        """The text goes on behind *token*, or at it if it may begin an object: no character is read twice."""
        self.status = Status.BROKEN
        self.resume = self.end if token.kind is Kind.MARK else token.end
        self.problem = OutputError(path=self._pointer(), message=message, code=ErrorCode.NOT_JSON)

    def _pointer(self) -> str:
        return "".join(frame.pointer_part for frame in self._stack)


_EXACT = 2**53
"""Below it every whole number has a float of its own: 10423.0 is 10423."""
_FOREIGN = {"True": "true", "False": "false", "None": "null"}
_LITERALS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
_NOT_STORABLE = re.compile("[\x00\ud800-\udfff]")
_NO_JSON = frozenset(["NaN", "Infinity", "-Infinity", "undefined"])


def escaped(key: str) -> str:
    """*key* as a part of a JSON pointer (RFC 6901). Pointers are stored: what cannot be is replaced."""
    return _NOT_STORABLE.sub("\ufffd", key).replace("~", "~0").replace("/", "~1")
