"""Places WhatsApp's `*` `_` `~` where they take effect, and keeps the text's own ones from taking any.

The rules, as the apps behave: a mark opens after a space, punctuation or the line's start and before a character that
is no space; it closes the other way round; both stand in one line. There is no escape character, so two literal marks
that would format what is between them are written as their look-alikes (∗ ˍ ∼ ˋ), or the name that one is in
(`__init__.py`) as code; nothing else is changed.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate, groupby
from typing import Literal

from integrations.whatsapp.letters import ends_words, is_quote, is_word

_LOOK_ALIKES = {"*": "∗", "_": "ˍ", "~": "∼", "`": "ˋ"}
_MARKS = re.compile(r"([*_~`])\1*")
_STRUCK = "~"


@dataclass(frozen=True)
class TextRun:
    """A piece of a line with the marks it is inside of, outermost first. Only of a text a character may be changed."""

    text: str
    marks: tuple[str, ...] = ()
    kind: Literal["text", "code", "address"] = "text"

    @property
    def is_blank(self) -> bool:
        return self.kind == "text" and not self.text.strip()


def compose(runs: list[TextRun], *, same_length: bool = False) -> str:
    """The text of *runs*, line by line, with marks written out. *same_length*: a literal mark stays one character."""
    return "\n".join(_compose_line(line, same_length) for line in _lines(runs))


def _lines(runs: list[TextRun]) -> list[list[TextRun]]:
    lines: list[list[TextRun]] = [[]]
    for run in runs:
        first, *others = run.text.split("\n")
        lines[-1].append(replace(run, text=first))
        lines.extend([replace(run, text=other)] for other in others)
    return [_joined(line) for line in lines]


def _joined(line: list[TextRun]) -> list[TextRun]:
    """What differs in nothing is one run."""
    joined: list[TextRun] = []
    for (kind, marks), runs in groupby((run for run in line if run.text), key=lambda run: (run.kind, run.marks)):
        alike = list(runs)
        joined += [TextRun("".join(run.text for run in alike), marks)] if kind == "text" else alike
    return joined


def _compose_line(line: list[TextRun], same_length: bool) -> str:
    if len(line) == 1 and not line[0].marks and not _MARKS.search(line[0].text):
        return line[0].text.rstrip()
    placed = _placed([piece for run in line for piece in _without_outer_spaces(run)])
    runs = _defused(_apart(placed), same_length)
    written: list[str] = []
    open_marks: tuple[str, ...] = ()
    for run in [*runs, TextRun("")]:
        shared = _shared(open_marks, run.marks)
        written += [*reversed(open_marks[shared:]), *run.marks[shared:], run.text]
        open_marks = run.marks
    return "".join(written).rstrip()


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    length = 0
    while length < min(len(one), len(other)) and one[length] == other[length]:
        length += 1
    return length


def _without_outer_spaces(run: TextRun) -> list[TextRun]:
    """A marked run's spaces at its ends as runs of their own: a mark beside a space has no effect."""
    if not run.marks or run.kind != "text":
        return [run]
    inner = run.text.strip()
    start = run.text.index(inner) if inner else len(run.text)
    pieces = (run.text[:start], inner, run.text[start + len(inner) :])
    return [replace(run, text=piece) for piece in pieces if piece]


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
    """Takes the mark at *depth* from the group's ends where it would touch a space or become part of an address, and
    from all of it inside a word. What is struck out in a word is moved away from it: else nobody sees that it is."""
    first, last = start, end
    while first < last and (runs[first].is_blank or runs[first].kind == "address"):
        first += 1
    while last > first and (runs[last - 1].is_blank or runs[last - 1].kind == "address"):
        last -= 1
    before = runs[first - 1].text[-1:] if first else ""
    after = runs[last].text[:1] if last < len(runs) else ""
    if first < last and runs[start].marks[depth] == _STRUCK:
        if is_word(before):
            runs[first - 1] = replace(runs[first - 1], text=runs[first - 1].text + " ")
        if is_word(after):
            runs[last] = replace(runs[last], text=" " + runs[last].text)
        before = after = ""
    effective = first < last and not is_word(before) and not is_word(after)
    for index in range(start, end):
        if not effective or not first <= index < last:
            marks = runs[index].marks
            runs[index] = replace(runs[index], marks=(*marks[:depth], "", *marks[depth + 1 :]))


def _apart(runs: list[TextRun]) -> list[TextRun]:
    """*runs* with a space between an address and a letter that would become part of it, and between two figures that
    only marks kept apart."""
    result: list[TextRun] = []
    for run in runs:
        before = result[-1] if result else TextRun("")
        ends_address = before.kind == "address" and not (
            run.text[0].isspace() or ends_words(run.text[0]) or is_quote(run.text[0])
        )
        begins_address = run.kind == "address" and before.text[-1:].isascii() and before.text[-1:].isalnum()
        two_figures = before.text[-1:].isdecimal() and run.text[0].isdecimal()
        if (ends_address and run.text[0] not in _LOOK_ALIKES) or begins_address or two_figures:
            result.append(TextRun(" "))
        result.append(run)
    return result


def _defused(runs: list[TextRun], same_length: bool) -> list[TextRun]:
    """*runs* with look-alikes for the literal marks that would take effect, or as code the word they stand in."""
    line = "".join(run.text for run in runs)
    starts = list(accumulate((len(run.text) for run in runs), initial=0))
    spans: list[list[Span]] = [[] for _ in runs]
    same_length = same_length or any("`" in run.text for run in runs if run.kind == "text")
    for mark in _LOOK_ALIKES:
        for marks in _effective(line, runs, mark) if mark in line else ():
            for start, end in marks:
                index = bisect_right(starts, start) - 1
                name = None if same_length else _name_around(line, start, end)
                fits = name and starts[index] <= name[0] and name[1] <= starts[index + 1]
                spans[index].append((*name, True) if name and fits else (start, end, False))
    return [_changed(run, sorted(mine), start) for run, mine, start in zip(runs, spans, starts, strict=False)]


Span = tuple[int, int, bool]
"""From, to, and whether it becomes code; else each mark in it its look-alike."""


def _name_around(line: str, start: int, end: int) -> tuple[int, int] | None:
    """From where to where the name goes that the mark at start…end is in, if it is in one."""
    before = _WORD_BEFORE.search(line, max(0, start - _LONGEST_WORD), start)
    after = _WORD_AFTER.match(line, end)
    first, last = before.start() if before else start, after.end() if after else end
    return (first, last) if _OF_NAME.search(line[first:last].strip("*_~")) else None


_LONGEST_WORD = 100
_OF_NAME = re.compile(r"[\d._/\\@#=&+-]")
"""What a name of a file or in a program has, and a word that somebody set between marks has not."""
_WORD_BEFORE = re.compile(r"[\w./\\~*@#=&+:-]*\Z")
_WORD_AFTER = re.compile(r"[\w./\\~*@#=&+:-]{0,100}(?<![.:])")


def _changed(run: TextRun, spans: list[Span], offset: int) -> TextRun:
    if not spans:
        return run
    written, at = [], 0
    for start, end, is_code in spans:
        if start - offset < at:
            continue
        marked = run.text[start - offset : end - offset]
        written.append(run.text[at : start - offset])
        written.append(f"`{marked}`" if is_code else "".join(_LOOK_ALIKES[each] for each in marked))
        at = end - offset
    return replace(run, text="".join(written) + run.text[at:])


def _effective(line: str, runs: list[TextRun], mark: str) -> Iterator[list[tuple[int, int]]]:
    """The literal marks of one kind, together, that would format what is between them, or between them and ours."""
    waiting: list[tuple[int, int]] = []
    within_ours = False
    for start, end, owner in _marks_of(line, runs, mark):
        if owner:
            within_ours = owner == "begins"
            if within_ours and waiting:
                yield list(waiting)
            waiting.clear()
            continue
        opens = mark == "`" or (not line[start - 1 : start].isalnum() and bool(line[end : end + 1].strip()))
        closes = mark == "`" or (not line[end : end + 1].isalnum() and start > 0 and bool(line[start - 1].strip()))
        if within_ours and (opens or closes):
            yield [(start, end)]
        elif closes and waiting and line[waiting[-1][1] : start].strip():
            yield [waiting.pop(), (start, end)]
        elif opens:
            waiting.append((start, end))


def _marks_of(line: str, runs: list[TextRun], mark: str) -> Iterator[tuple[int, int, str]]:
    """Where *mark* stands in *line*, and where a run inside of ours begins and ends (then with a word that says so).

    One that touches an address is left alone: it may belong to it.
    """
    offset, ours = 0, False
    for index, run in enumerate(runs):
        is_ours = mark in run.marks or (mark == "`" and run.kind == "code")
        if is_ours != ours:
            yield offset, offset, "begins" if is_ours else "ends"
            ours = is_ours
        behind_address = index > 0 and runs[index - 1].kind == "address"
        before_address = index + 1 < len(runs) and runs[index + 1].kind == "address"
        for found in _RUNS_OF[mark].finditer(run.text) if run.kind == "text" else ():
            touches = (found.start() == 0 and behind_address) or (found.end() == len(run.text) and before_address)
            if not touches:
                yield offset + found.start(), offset + found.end(), ""
        offset += len(run.text)


_RUNS_OF = {mark: re.compile(f"{re.escape(mark)}+") for mark in _LOOK_ALIKES}
