"""Whether whoever reads a text sees anything of it. One rule for all words that people read."""

from __future__ import annotations

import unicodedata

_SHOWS_NOTHING = frozenset("CZM")
"""Unicode's groups of control, format and private characters, of white space, and of marks, which only change another
character; apart from what `_SEEN` takes back."""
_SEEN = frozenset(["Cn", "Co"])
"""Unassigned ones show as a box, and are tomorrow's emoji; private ones have a picture where they are in use."""
_BLANK_RANGES = (
    (0x115F, 0x1160),  # Hangul fillers
    (0x2065, 0x2065),  # unassigned among those that set a direction
    (0x2800, 0x2800),  # a Braille cell without dots
    (0x3164, 0x3164),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFF8),  # unassigned, and to be ignored by who does not know them
    (0x1D159, 0x1D159),  # a note without a head
    (0xE0000, 0xE0FFF),  # tags and variation selectors, assigned or not
)
"""Of other groups, and shown as nothing all the same. Source: Unicode's Default_Ignorable_Code_Point (all else of it is
of a group above), and characters whose picture is empty."""


def shows_something(text: str) -> bool:
    """Whether anything of *text* can be seen."""
    return any(_is_seen(letter) for letter in text)


def _is_seen(letter: str) -> bool:
    group, code = unicodedata.category(letter), ord(letter)
    if group[0] in _SHOWS_NOTHING and group not in _SEEN:
        return False
    return not any(first <= code <= last for first, last in _BLANK_RANGES)
