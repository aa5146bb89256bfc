"""Cuts a long text into numbered parts where a reader would: between paragraphs, else sentences, else words.

Works on text as `rendering` writes it: a line of three backticks opens or closes a code block. An address, a code span,
a figure and what is in bold stay whole where they fit into a part. Characters are counted as UTF-16 code units: neither
vendor says how it counts, and this count is never below that of characters.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

import regex  # type: ignore[import-untyped]

FENCE = "```"
_CLOSE, _OPEN = f"\n{FENCE}", f"{FENCE}\n"
_PARAGRAPH = regex.compile(r"\n[ \t]*\n\s*")
_LINE = regex.compile(r"\n")
_SENTENCE = regex.compile(r"(?<=[.!?…؟۔।][\"'”’»)\]]{0,4})\s+|(?<=[。！？])")
_SPACE = regex.compile(r"\s+")
_GRAPHEME = regex.compile(r"\X")
_WHOLE = regex.compile(
    r"```[^\n]+?```|`[^`\n]+`|(?:[a-z][a-z0-9]{1,19}://|www\.)[^\s，。、：；！？（）「」]+"
    r"|(?<![\w*])\*[^*\s](?:[^*\n]*[^*\s])?\*(?![\w*])|(?<![\w.%+-])[\w.%+-]{1,64}@[\w.-]+|\p{N}[\p{N}.,:/ ']*\p{N}",
    regex.IGNORECASE,
)
"""What is not cut in the middle: code, addresses, bold words, figures."""
_WORD = regex.compile(r"[\p{Latin}\p{Greek}\p{Cyrillic}\p{Arabic}\p{Hebrew}\p{Devanagari}\p{M}\p{N}_'’-]+")
_LONGEST_WORD = 40
_SMALLEST_SHARE = 4
"""A part is filled to at least a quarter before a better kind of boundary is preferred to a later one."""


def measure(text: str) -> int:
    """Length in UTF-16 code units: 2 for an emoji outside the basic plane."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def shorten(text: str, limit: int) -> str:
    """The beginning of *text*, of at most *limit* units, cut where a part would be; a code block is closed."""
    text = text.strip()
    if len(text) <= limit and measure(text) <= limit:
        return text
    begun = text[: _cut(text, limit - len(_CLOSE), in_code=False)].rstrip()
    return begun + _CLOSE if _fences(begun) % 2 else begun


def split(text: str, limit: int) -> list[str]:
    """Parts of at most *limit* units, headed `(1/3)` where there are several; the order is the text's.

    No part ends inside an emoji or another grapheme (unless a single one is longer than a part), and a code block that
    goes on in the next part is closed and opened again. Raises ValueError for a limit under 64 units.
    """
    if limit < 64:
        raise ValueError("a part needs room for at least 64 units")
    text = text.strip()
    if measure(text) <= limit:
        return [text] if text else []
    digits = 1
    while True:
        parts = list(_parts(text, limit - (2 * digits + len("(/)\n"))))
        if len(str(len(parts))) <= digits:
            return [f"({n}/{len(parts)})\n{part}" for n, part in enumerate(parts, 1)]
        digits += 1


def _parts(text: str, limit: int) -> Iterator[str]:
    in_code = False
    while text:
        if in_code and text.split("\n", 1)[0] == FENCE:  # the block ends here, so it need not be opened again
            in_code, text = False, text.removeprefix(FENCE).lstrip()
            continue
        head = _OPEN if in_code else ""
        if len(text) <= limit and measure(head + text) <= limit:
            yield head + text
            return
        cut = _cut(text, limit - len(head) - len(_CLOSE), in_code)
        part, text = text[:cut], text[cut:]
        in_code ^= _fences(part) % 2 == 1
        # Spaces at a cut mean nothing, except at the beginning of a line of code.
        part, text = (part.rstrip("\n"), text.removeprefix("\n")) if in_code else (part.rstrip(), text.lstrip())
        if part.strip():
            yield head + part + (_CLOSE if in_code else "")


def _fences(text: str) -> int:
    return sum(line == FENCE for line in text.split("\n"))


def _cut(text: str, room: int, in_code: bool) -> int:
    """Where to cut *text*, as an index > 0: the latest of the best boundaries within *room* units.

    One outside a code block is better than one inside.
    """
    end = _fitting(text, room)
    window = text[: end + 1]  # one more, so that a boundary exactly at the end is seen
    whole = [] if in_code else _whole(text, end, room)
    kinds = (_LINE,) if in_code else (_PARAGRAPH, _LINE, _SENTENCE, _SPACE)
    for kind in kinds:
        cuts: list[int] = [
            match.start() for match in kind.finditer(window) if end // _SMALLEST_SHARE <= match.start() <= end
        ]
        good = [cut for cut in cuts if cut > 0 and not _splits_fence(text, cut) and _outside(cut, whole) == cut]
        if good:
            return next((cut for cut in reversed(good) if _is_outside_code(text, cut)), good[-1])
    return end if in_code else _between_words(text, end, whole)


def _is_outside_code(text: str, cut: int) -> bool:
    return FENCE not in text[:cut] or _fences(text[:cut]) % 2 == 0


def _whole(text: str, end: int, room: int) -> list[tuple[int, int]]:
    """What is to stay whole, and fits into a part, up to the last one that begins before *end*."""
    spans = [match.span() for match in _WHOLE.finditer(text[: end + room])]
    return [(start, stop) for start, stop in spans if start < end and measure(text[start:stop]) <= room]


def _outside(cut: int, whole: Sequence[tuple[int, int]]) -> int:
    """*cut*, or the beginning of what it would cut in the middle."""
    index = bisect_right(whole, (cut, 0)) - 1
    return whole[index][0] if index >= 0 and whole[index][0] < cut < whole[index][1] else cut


def _between_words(text: str, end: int, whole: Sequence[tuple[int, int]]) -> int:
    """*end*, or the beginning of what would be cut there, if the part is more than a quarter full by then."""
    cut, begins = _outside(end, whole), max(0, end - _LONGEST_WORD)
    if cut == end and _WORD.match(text, end):
        words = (word.span() for word in _WORD.finditer(text, begins, end))
        cut = next((start for start, stop in words if stop == end and start > begins), end)
    return cut if cut >= max(1, end // _SMALLEST_SHARE) else end


def _splits_fence(text: str, cut: int) -> bool:
    """Whether *cut* leaves an opening fence alone at the end of a part."""
    return text[:cut].endswith(FENCE) and _fences(text[:cut]) % 2 == 1


def _fitting(text: str, room: int) -> int:
    """The longest prefix of whole graphemes within *room* units; of whole characters if one grapheme is longer."""
    used, end = 0, 0
    for match in _GRAPHEME.finditer(text):
        used += measure(match[0])
        if used > room:
            break
        end = int(match.end())
    return end or _fitting_characters(text, room)


def _fitting_characters(text: str, room: int) -> int:
    used = 0
    for index, character in enumerate(text):
        used += measure(character)
        if used > room:
            return max(index, 1)
    return len(text)
