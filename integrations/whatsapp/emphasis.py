"""Places WhatsApp's `*` `_` `~` where they take effect, and keeps the text's own ones from taking any.

The rules, as the apps behave: a mark opens after a space, punctuation or the line's start and before a character that
is no space; it closes the other way round; both stand in one line. There is no escape character, so a literal mark
that could open or close is written as its look-alike (∗ ˍ ∼ ˋ) if its line has another; nothing else is changed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

_LOOK_ALIKES = {"*": "∗", "_": "ˍ", "~": "∼", "`": "ˋ"}
_MARKS = re.compile(r"([*_~`])\1*")


@dataclass(frozen=True)
class TextRun:
    """A piece of a line with the marks it is inside of, outermost first. Of a verbatim one no character is changed."""

    text: str
    marks: tuple[str, ...] = ()
    verbatim: bool = False


def compose(runs: list[TextRun]) -> str:
    """The text of *runs*, line by line, with marks written out."""
    return "\n".join(_compose_line(line) for line in _lines(runs))


def _lines(runs: list[TextRun]) -> list[list[TextRun]]:
    lines: list[list[TextRun]] = [[]]
    for run in runs:
        first, *others = run.text.split("\n")
        lines[-1].append(replace(run, text=first))
        lines.extend([replace(run, text=other)] for other in others)
    return [[run for run in line if run.text] for line in lines]


def _compose_line(line: list[TextRun]) -> str:
    runs = _defused(_placed([piece for run in line for piece in _without_outer_spaces(run)]))
    written = ""
    open_marks: tuple[str, ...] = ()
    for run in [*runs, TextRun("")]:
        shared = _shared(open_marks, run.marks)
        written += "".join(reversed(open_marks[shared:])) + "".join(run.marks[shared:]) + run.text
        open_marks = run.marks
    return written.rstrip()


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    length = 0
    while length < min(len(one), len(other)) and one[length] == other[length]:
        length += 1
    return length


def _without_outer_spaces(run: TextRun) -> list[TextRun]:
    """A marked run's spaces at its ends as runs of their own: a mark beside a space has no effect."""
    if not run.marks or run.verbatim:
        return [run]
    inner = run.text.strip()
    start = run.text.index(inner) if inner else len(run.text)
    pieces = (
        TextRun(run.text[:start], run.marks),
        TextRun(inner, run.marks),
        TextRun(run.text[start + len(inner) :], run.marks),
    )
    return [piece for piece in pieces if piece.text]


def _placed(runs: list[TextRun]) -> list[TextRun]:
    """*runs* without the marks that would have no effect where they stand (inside a word, beside a space)."""
    for depth in range(max((len(run.marks) for run in runs), default=0)):
        for start, end in _groups(runs, depth):
            _settle(runs, start, end, depth)
    return [replace(run, marks=tuple(mark for mark in run.marks if mark)) for run in runs]


def _groups(runs: list[TextRun], depth: int) -> list[tuple[int, int]]:
    """Where the runs that share their marks down to *depth* begin and end."""
    groups, start = [], 0
    for index in range(1, len(runs) + 1):
        same = index < len(runs) and runs[index].marks[: depth + 1] == runs[start].marks[: depth + 1]
        if not same:
            if len(runs[start].marks) > depth and runs[start].marks[depth]:
                groups.append((start, index))
            start = index
    return groups


def _settle(runs: list[TextRun], start: int, end: int, depth: int) -> None:
    """Takes the mark at *depth* from the spaces at the group's ends, and from all of it if it is inside a word."""
    first, last = start, end
    while first < last and runs[first].text.isspace():
        first += 1
    while last > first and runs[last - 1].text.isspace():
        last -= 1
    before = runs[first - 1].text[-1:] if first else ""
    after = runs[last].text[:1] if last < len(runs) else ""
    effective = first < last and not before.isalnum() and not after.isalnum()
    if runs[start].marks[depth] == "_" and before.isalnum() and after.isalnum():
        # `5*3*2` is emphasis to Markdown and a product to everybody else.
        runs[start] = replace(runs[start], text="*" + runs[start].text)
        runs[end - 1] = replace(runs[end - 1], text=runs[end - 1].text + "*")
    for index in range(start, end):
        if not effective or not first <= index < last:
            marks = runs[index].marks
            runs[index] = replace(runs[index], marks=(*marks[:depth], "", *marks[depth + 1 :]))


def _defused(runs: list[TextRun]) -> list[TextRun]:
    """*runs* with look-alikes for the literal marks that would take effect."""
    line = "".join(run.text for run in runs)
    ours = {mark for run in runs for mark in run.marks} | {"`" for run in runs if run.verbatim and "`" in run.text}
    effective = _effective(line, ours)
    result, offset = [], 0
    for run in runs:
        text = run.text
        if not run.verbatim:
            text = "".join(_LOOK_ALIKES[each] if offset + at in effective else each for at, each in enumerate(run.text))
        result.append(replace(run, text=text))
        offset += len(run.text)
    return result


def _effective(line: str, ours: set[str]) -> set[int]:
    """Where in *line* a mark stands that could open or close: alone in its line, and of none of ours, it cannot."""
    positions: set[int] = set()
    for found in _MARKS.finditer(line):
        mark, before, after = (
            found[0][0],
            line[max(0, found.start() - 1) : found.start()],
            line[found.end() : found.end() + 1],
        )
        opens = not before.isalnum() and bool(after) and not after.isspace()
        closes = not after.isalnum() and bool(before) and not before.isspace()
        if (opens or closes) and (mark in ours or line.count(mark) > 1):
            positions.update(range(found.start(), found.end()))
    return positions
