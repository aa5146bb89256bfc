"""Rules of our own for markdown-it-py: which `*`, `**`, `_` and `~~` are formatting, beside letters of any script.

CommonMark leaves `**바나나(Banana)**는` as it is written, takes `10*2=20*` and `x**2 + y**2` for emphasis (and the
figures run together), and `__init__.py` for bold. Here a mark between figures is none, nor is one within a path; a pair
around words always is one, and a pair of `**` that even so could not be read is left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby

from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.state_inline import Delimiter
from markdown_it.token import Token

from integrations.whatsapp.letters import ends_words, is_code_letter, is_figure, is_punctuation, is_word, opens_words

LONE = "lone_mark"
"""The type of a token that is a `**` without its other half."""
_BEFORE_OPENING = frozenset("([{\"'-:,;!?.>|~*_")
"""ASCII signs that a single mark may open behind; behind others (`/`, `=`, `@`) it belongs to a path or formula."""
_NOT_BEHIND_CLOSING = frozenset("/\\=@#$%&+^")
_LONGEST_WORD = 60
_MASK = 4
"""So many marks in a row stand for signs that are not told: `**** 1234`."""


@dataclass(frozen=True)
class Place:
    """A run of one mark, and the signs around it; "" stands for the edge of the text."""

    mark: str
    length: int
    start: int
    before: str
    after: str
    beyond: str

    @property
    def is_glued(self) -> bool:
        """Inside what may be a word, a power, or a masked name of Latin letters and figures."""
        return _is_of_code(self.before) and _is_of_code(self.after)

    @property
    def is_between_figures(self) -> bool:
        return is_figure(self.before) and is_figure(self.after)

    @property
    def is_beside_figure(self) -> bool:
        """What may be a power: `x**2`, `f(x)**2`."""
        glued = self.is_glued and (is_figure(self.before) or is_figure(self.after))
        return glued or (self.before != "" and self.before in ")]" and is_figure(self.after))

    def flags(self) -> tuple[bool, bool]:
        """Whether it can open and whether it can close."""
        opens, closes = bool(self.after.strip()), bool(self.before.strip())
        if self.is_between_figures or self.length >= _MASK or (self.is_glued and self.length == 1):
            return False, False
        if self.mark == "_" and is_word(self.before) and is_word(self.after):
            return False, False
        if self.length == 1 or self.mark == "_":
            return opens and self._may_open(), closes and self._may_close()
        if self.is_beside_figure:
            return False, closes
        return (
            opens and not (closes and ends_words(self.after) and not is_punctuation(self.before)),
            closes and not (opens and opens_words(self.before)),
        )

    def _may_open(self) -> bool:
        before, after = self.before, self.after
        if ends_words(after) and (before.strip() or after + self.beyond != ".."):
            return False
        if before.isascii() and before.strip() and before not in _BEFORE_OPENING and not before.isalnum():
            return False
        return not is_punctuation(after) or not is_word(before) or not _is_of_code(before)

    def _may_close(self) -> bool:
        before, after = self.before, self.after
        if after in _NOT_BEHIND_CLOSING:
            return False
        if self.mark == "_" and after and after in ".-(" and self.beyond.isalnum():
            return False
        return not is_punctuation(before) or not is_word(after) or not _is_of_code(after)


def place_of(source: str, start: int, end: int, before_at: int | None = None) -> Place:
    """The run of marks in *source* that begins at *start*, within a text that ends at *end*."""
    mark, stop = source[start], start
    while stop < end and source[stop] == mark:
        stop += 1
    behind = start - 1 if before_at is None else before_at
    return Place(
        mark=mark,
        length=stop - start,
        start=start,
        before=source[behind] if behind >= 0 else "",
        after=source[stop] if stop < end else "",
        beyond=source[stop + 1] if stop + 1 < end else "",
    )


def _is_of_code(sign: str) -> bool:
    return is_figure(sign) or is_code_letter(sign)


def read_marks(state: StateInline, silent: bool) -> bool:
    """An inline rule, in the place of CommonMark's for emphasis and for what is struck out."""
    mark = state.src[state.pos]
    if silent or mark not in "*_~":
        return False
    place = place_of(state.src, state.pos, state.posMax)
    state.pos += place.length
    if mark == "~" and place.length != 2:
        state.append_pending(mark * place.length)
    elif mark == "*" and place.length == _MASK and place.before.strip() and place.after.strip():
        _push(state, replace(place, length=2, after=""), False, True)  # `**a****b**`
        _push(state, replace(place, length=2, start=place.start + 2, before=""), True, False)
    elif _is_mask(place, state.src) and _has_one_too_many(state.src):
        _push(state, place, False, False)
    else:
        _push(state, place, *place.flags())
    return True


def _push(state: StateInline, place: Place, opens: bool, closes: bool) -> None:
    for _ in range(1 if place.mark == "~" else place.length):
        token = state.push("text", "", 0)
        token.content = "~~" if place.mark == "~" else place.mark
        token.meta = {"place": place}
        length = 0 if place.mark == "~" else place.length
        state.delimiters.append(Delimiter(ord(place.mark), length, len(state.tokens) - 1, -1, opens, closes))


def _is_mask(place: Place, source: str) -> bool:
    """As in `尾号**1234`: signs that are not told before the last figures of a number."""
    return place.length == 2 and _MASKED.match(source, place.start) is not None


@lru_cache(maxsize=4)
def _has_one_too_many(source: str) -> bool:
    return len(_DOUBLE.findall(source)) % 2 == 1


_MASKED = re.compile(r"\*\*\d{3,4}(?![\d*]|[.,]\d)")
_DOUBLE = re.compile(r"(?<!\*)\*\*(?!\*)")


def check_pairs(state: StateInline) -> None:
    """Behind the pairing: pairs that are no formatting are undone, and a `**` without its other half is named so."""
    nested = [meta["delimiters"] for meta in state.tokens_meta if meta and "delimiters" in meta]
    for delimiters in [state.delimiters, *nested]:
        for opener in delimiters:
            if opener.end >= 0 and not _is_formatting(state, opener, delimiters[opener.end]):
                opener.end = -1
        _undo_halves(state, delimiters)
        _name_lone(state, delimiters)


def _is_formatting(state: StateInline, opener: Delimiter, closer: Delimiter) -> bool:
    first, last = _place(state, opener), _place(state, closer)
    if last.is_beside_figure and is_word(first.before):
        return False
    if _is_mask(first, state.src) and _is_mask(last, state.src):
        return False
    inside = state.src[first.start + first.length : last.start]
    if first.is_glued:
        return 1 < len(inside) <= _LONGEST_WORD and inside.isalpha()
    return not last.is_glued or (len(inside) <= _LONGEST_WORD and "*" not in inside and "\n" not in inside)


def _undo_halves(state: StateInline, delimiters: list[Delimiter]) -> None:
    """A run of which only a part found its other half is taken for none: else a star would be left, or lost."""
    opener_of = {each.end: each for each in delimiters if each.end >= 0}
    for _, run in groupby(range(len(delimiters)), lambda index: id(_place(state, delimiters[index]))):
        openers = [delimiters[at] if delimiters[at].end >= 0 else opener_of.get(at) for at in run]
        if None in openers:
            for opener in filter(None, openers):
                opener_of.pop(opener.end, None)
                opener.end = -1


def _place(state: StateInline, delimiter: Delimiter) -> Place:
    place: Place = state.tokens[delimiter.token].meta["place"]
    return place


def _are_double(state: StateInline, delimiters: list[Delimiter], index: int) -> bool:
    place = _place(state, delimiters[index])
    return place.length == 2 and place is _place(state, delimiters[index + 1])


def _name_lone(state: StateInline, delimiters: list[Delimiter]) -> None:
    paired = {each.end for each in delimiters if each.end >= 0}
    free = [each.end < 0 and index not in paired for index, each in enumerate(delimiters)]
    for index in range(len(delimiters) - 1):
        token = state.tokens[delimiters[index].token]
        if _are_double(state, delimiters, index) and token.content == "*" and free[index] and free[index + 1]:
            token.type, token.content = LONE, "**"
            state.tokens[delimiters[index + 1].token].content = ""


def drop_lone_pairs(state: StateCore) -> None:
    """A core rule: two `**` around words that no rule could read are left out; any other stays as it is."""
    open_mark: tuple[Token, int] | None = None
    said: list[str] = []
    for block, inline in enumerate(each for each in state.tokens if each.type == "inline"):
        for token in inline.children or []:
            if token.type != LONE:
                said.append(token.content)
                continue
            place: Place = token.meta["place"]
            if open_mark and _are_pair(open_mark[0].meta["place"], place, "".join(said), block != open_mark[1]):
                open_mark[0].content = token.content = ""
                open_mark = None
            elif not place.is_between_figures and (place.after.strip() or not place.before.strip()):
                open_mark = (token, block)
            said = []
    for inline in state.tokens:
        for token in inline.children or []:
            if token.type == LONE:
                token.type = "text"


def _are_pair(first: Place, last: Place, said: str, over_blocks: bool) -> bool:
    """Whether what stands between the two is words. Powers (`a ** 2`) and masks (`**34`) are none."""
    if over_blocks:
        return not first.before.strip() and bool(first.after.strip()) and last.flags() == (False, True)
    if first.is_beside_figure and last.is_beside_figure:
        return False
    if first.is_glued and (last.is_glued or not last.before.strip()):
        return False
    if last.is_glued and (last.is_beside_figure or "*" in said):
        return False
    if is_figure(first.after) and is_figure(last.after) and not last.before.strip():
        return False
    alone = [not each.before.strip() and not each.after.strip() for each in (first, last)]
    if all(alone) and (is_figure(first.beyond) or is_figure(last.beyond) or _FORMULA.search(said)):
        return False
    return _WORD.search(said) is not None


_FORMULA = re.compile(r"[=+/^<>]|\A\s*\w\s|\s\w\s*\Z")
_WORD = re.compile(r"[^\W\d_]{2}|(?![\x00-\u052f])[^\W\d_]")
