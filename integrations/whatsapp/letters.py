"""What kind of sign stands beside a mark. One set of questions for the reading of marks and for their writing."""

from __future__ import annotations

import unicodedata

_CODE_LETTERS_END = "\u0530"
_MORE_CODE_LETTERS = ("\u1e00", "\u1fff")
_OPENING = frozenset("¿¡")
_CLOSING = frozenset(".,:;!?…。，、：；！？؟،؛।%")
_QUOTES = frozenset("\"'“”‘’«»‹›")
"""Which of them opens and which closes is another matter in each language."""


def is_word(sign: str) -> bool:
    """A letter, a figure, or what belongs to one (vowels of Thai and Hindi are marks to Unicode)."""
    return sign.isalnum() or (bool(sign) and unicodedata.category(sign)[0] == "M")


def is_figure(sign: str) -> bool:
    return bool(sign) and unicodedata.category(sign)[0] == "N"


def is_code_letter(sign: str) -> bool:
    """A letter of Latin, Greek or Cyrillic, which have a space between words, and which formulas and programs use."""
    return sign.isalpha() and (sign < _CODE_LETTERS_END or _MORE_CODE_LETTERS[0] <= sign <= _MORE_CODE_LETTERS[1])


def is_punctuation(sign: str) -> bool:
    return bool(sign) and unicodedata.category(sign)[0] in "PS"


def opens_words(sign: str) -> bool:
    """Punctuation that stands before words: `(`, `「`, `„`."""
    return bool(sign) and (sign in _OPENING or unicodedata.category(sign) == "Ps")


def ends_words(sign: str) -> bool:
    """Punctuation that stands behind words: `)`, `」`, `。`."""
    return bool(sign) and (sign in _CLOSING or unicodedata.category(sign) == "Pe")


def is_quote(sign: str) -> bool:
    return sign in _QUOTES
