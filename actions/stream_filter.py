"""Streaming: how much of an unfinished output may be shown, so that no customer ever sees an action's JSON.

Shown is what cannot become part of an action any more. Held back is
* an object that is not closed yet, with the code fence or bracket that opens it: its action key may come last;
* a broken object that had a quoted key, or that the output begins with: nobody can tell where it stops, so it waits
  for the end;
* a tail that may be the beginning of such a thing (a back-tick, a bracket, `action:` at the start of a line).
Thoughts and calls in another notation are never shown (`machinery`); where only the end of thoughts is marked, what was
shown of them is taken back. Once something was surely meant as an action, nothing is shown any more; what was shown
before is to be taken back (`reset`). At the end everything is shown if and only if the verdict is `text`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from actions.limits import ReadingLimits
from actions.machinery import LONGEST, Heard, has_machinery, heard, may_begin_machinery
from actions.objects import ObjectScanner
from actions.reading import read_output, stands_alone
from actions.registry import Registry
from actions.relaxed_json import Status
from actions.suspicion import Meant, gap_is_meant, judge, mentions_action, names_known
from schemas.turns import Verdict

_WINDOW = 400
"""Characters before the newest text that a mention may begin in."""
_OPENER = re.compile(r"(?:`{1,3}[ \t]{0,9}\w{0,9}\s{0,99})?[\[(\"'\s\ufeff]{0,99}\Z")
_TAIL = re.compile(
    r"^[ \t>*`-]{0,9}a(?:c(?:t(?:i(?:o(?:n[*`]{0,2}(?:[ \t]{0,9}:.{0,100})?)?)?)?)?)?\Z", re.MULTILINE | re.IGNORECASE
)
_BEGINS = re.compile(r"[\s\ufeff]{0,99}(?:```\w{0,9}\s{0,99})?\{\s{0,99}[\"'“„«‘＂]")


@dataclass(frozen=True)
class VisibleText:
    """`text` is all that may be shown now. `reset`: it does not go on from what was shown before; start over."""

    text: str
    reset: bool = False


class StreamFilter:
    """One output on its way in. Feed it the whole text so far, each time it changed, and `finish` with the last."""

    _text: str
    _scanner: ObjectScanner
    _judged: int
    _gap_start: int
    _hold_from: int | None
    _settled: int
    _withheld: bool

    def __init__(self, registry: Registry, limits: ReadingLimits | None = None) -> None:
        self._registry = registry
        self._limits = limits or ReadingLimits()
        self._shown = ""
        self._output = ""
        self._has_machinery = False
        self._begin()

    def feed(self, text: str) -> VisibleText:
        """What may be shown of *text*. It may differ from the last one anywhere (then it was replaced)."""
        said = self._heard(text)
        return self._show("") if said.called else self._feed(said.text)

    def _heard(self, output: str) -> Heard:
        """What of *output*, which may still grow, is said to the customer."""
        if not output.startswith(self._output):
            self._has_machinery = False
            self._output = ""
        begin = max(0, len(self._output) - LONGEST)
        self._has_machinery = self._has_machinery or has_machinery(output, begin)
        self._output = output
        end = may_begin_machinery(output)
        return heard(output[:end]) if self._has_machinery else Heard(output[:end])

    def _feed(self, text: str) -> VisibleText:
        if not text.startswith(self._text):
            self._begin()
        known, self._text = len(self._text), text
        if not self._withheld:
            self._scanner.advance(text, final=False)
            self._look(known)
        if self._withheld:
            return self._show("")
        self._settled = max(self._settled, self._settled_now())
        return self._show(text[: self._settled])

    def finish(self, text: str) -> VisibleText:
        """What is shown once *text* is all: everything if it is text, else nothing."""
        parsed = read_output(text, self._registry, limits=self._limits)
        return self._show(parsed.text if parsed.verdict is Verdict.TEXT else "")

    @property
    def steps(self) -> int:
        """How many characters were read, over all the feeds."""
        return self._scanner.steps

    def _begin(self) -> None:
        self._text = ""
        self._scanner = ObjectScanner(self._limits)
        self._judged = 0
        self._gap_start = 0
        self._hold_from = None
        self._settled = 0
        self._withheld = False

    def _look(self, known: int) -> None:
        """Judges what is new: objects that came to their end, the open one's name so far, words between objects."""
        for found in self._scanner.found[self._judged :]:
            self._judged += 1
            if found.status is Status.BROKEN:
                self._hold(found.start)
                self._withheld = self._withheld or names_known(found.value, self._registry.known)
                continue
            self._look_at_gap(max(self._gap_start, known - _WINDOW), found.start, growing=False)
            self._gap_start = found.end
            meant = judge(found.value, self._registry.known).meant
            self._withheld = self._withheld or meant is Meant.YES
            if meant is Meant.IF_ALONE and stands_alone(self._text[: found.end], found.start, found.end):
                self._hold(found.start)
        opened = self._scanner.open
        if opened is not None and names_known(opened.value, self._registry.known):
            self._withheld = True
        end = len(self._text) if opened is None else opened.start
        self._look_at_gap(max(self._gap_start, known - _WINDOW), end, growing=True)

    def _look_at_gap(self, start: int, end: int, *, growing: bool) -> None:
        """Looks at the end of a gap; a window that begins inside of a line is marked, so that it is none's start."""
        gap = self._text[start:end] if start == self._gap_start else "…" + self._text[start:end]
        if gap_is_meant(gap, self._registry.known, first=False, last=False, growing=growing):
            self._withheld = True
        elif mentions_action(gap):
            self._hold(start)

    def _hold(self, position: int) -> None:
        self._hold_from = position if self._hold_from is None else min(self._hold_from, position)

    def _settled_now(self) -> int:
        """Up to where the text cannot become part of an action."""
        begun = _BEGINS.match(self._text)
        if begun is not None and not any(each.start < begun.end() for each in self._scanner.whole[:1]):
            return 0
        ends = [len(self._text) if self._scanner.open is None else self._scanner.open.start]
        if self._hold_from is not None:
            ends.append(self._hold_from)
        end = min(ends)
        return min(_before(_OPENER, self._text, end), _before(_TAIL, self._text, end))

    def _show(self, text: str) -> VisibleText:
        reset = not text.startswith(self._shown)
        self._shown = text
        return VisibleText(text, reset)


def _before(pattern: re.Pattern[str], text: str, end: int) -> int:
    """Where the match of *pattern* that reaches to *end* begins, looking only at the last stretch."""
    start = max(0, end - _WINDOW)
    match = pattern.search(text[start:end])
    return end if match is None else start + match.start()
