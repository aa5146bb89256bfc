"""Which regular expressions an administrator's schema may use: those whose worst case can be bounded by counting.

Python's `re` backtracks. A pattern without look-around, back references and repeated variable groups tries at most
(choices of each repeat, multiplied) × (starting places) ways; that product is bounded here. No pattern is ever run
to find out.
"""

from __future__ import annotations

import re
import warnings

MAX_PATTERN_CHARACTERS = 256
MAX_WAYS = 20_000_000
"""About 0.3 s of matching at worst; e-mail-like patterns on 254 characters stay below."""

_PIECE = re.compile(
    r"""(?P<reference>\\(?:[1-9]|g|k))
    |(?P<escape>\\.)
    |(?P<set>\[\^?\]?(?:[^\]\\]|\\.)*\])
    |(?P<special>\(\?(?!:))
    |(?P<open>\((?:\?:)?)
    |(?P<close>\))
    |(?P<either>\|)
    |(?P<repeat>(?:[*+?]|\{\d+(?:,\d*)?\}|\{,\d+\})[?+]?)
    |(?P<plain>.)""",
    re.VERBOSE | re.DOTALL,
)
_BOUNDS = re.compile(r"\{(\d*)(,?)(\d*)\}")


def pattern_problem(pattern: str, longest: int | None) -> str | None:
    """Why *pattern* is refused on texts of at most *longest* characters (None: unbounded); None if it is fine."""
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        return f"a pattern may have at most {MAX_PATTERN_CHARACTERS} characters"
    try:
        with warnings.catch_warnings(action="error"):
            re.compile(pattern)
    except (re.error, RecursionError, OverflowError, Warning) as error:
        return f"the pattern is no regular expression: {error}"
    try:
        ways = _ways(pattern, longest)
    except ValueError as error:
        return str(error)
    if ways > MAX_WAYS:
        return "the pattern could take too long; bound its repeats, anchor it with ^, or lower maxLength"
    return None


def _ways(pattern: str, longest: int | None) -> int:
    """An upper bound of the ways to try. Raises ValueError for what cannot be counted."""
    ways = 1 if pattern.startswith("^") and "|" not in pattern else _length(longest)
    groups: list[bool] = [False]  # for each open group: does its content vary?
    last_varies = False
    for piece in _PIECE.finditer(pattern):
        kind = piece.lastgroup
        if kind in ("reference", "special"):
            raise ValueError("patterns may use no look-around, no back references and no named or flagged groups")
        if kind == "open":
            groups.append(False)
        elif kind == "close":
            last_varies = groups.pop()
            groups[-1] = groups[-1] or last_varies
        elif kind == "either":
            groups[-1] = True
            ways *= 2
        elif kind == "repeat":
            choices, most = _choices(piece.group(), longest)
            if last_varies and most > 1:
                raise ValueError("a repeated group may not hold repeats or alternatives of its own")
            groups[-1] = groups[-1] or choices > 1
            ways *= choices
        if kind not in ("close", "repeat"):
            last_varies = False
    return ways


def _choices(repeat: str, longest: int | None) -> tuple[int, int]:
    """How many counts a repeat can choose from, and the highest."""
    if repeat[0] == "?":
        return 2, 1
    bounds = _BOUNDS.match(repeat)
    if bounds is None:
        most = _length(longest)
        return most + 1, most
    least = int(bounds[1] or 0)
    if not bounds[2]:
        return 1, least
    most = int(bounds[3]) if bounds[3] else _length(longest)
    return max(most - least, 0) + 1, most


def _length(longest: int | None) -> int:
    if longest is None:
        raise ValueError("a pattern that is not anchored or repeats without bounds needs maxLength beside it")
    return longest
