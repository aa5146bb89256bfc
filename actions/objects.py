"""Finds the outermost JSON objects in a text that may still be growing, in one pass.

What is not inside a whole object is a *gap*: prose, code, and what is left of broken objects.
"""

from __future__ import annotations

from collections.abc import Iterator

from actions.limits import ReadingLimits
from actions.relaxed_json import RelaxedObject, Status


class ObjectScanner:
    """Call `advance` with the whole text as often as it grows.

    `found` are objects that are whole, or broken after a first quoted key (a brace in prose or in a style sheet is no
    object); `open` is the one that the text breaks off in.
    """

    def __init__(self, limits: ReadingLimits) -> None:
        self._limits = limits
        self.found: list[RelaxedObject] = []
        self.open: RelaxedObject | None = None
        self.position = 0
        self.steps = 0

    def advance(self, text: str, *, final: bool) -> None:
        """Reads on to the end of *text*."""
        while True:
            if self.open is None and not self._begin(text):
                return
            assert self.open is not None
            before = self.open.steps
            status = self.open.advance(text, final=final)
            self.steps += self.open.steps - before
            if status is Status.OPEN:
                return
            self._finish(self.open)

    @property
    def whole(self) -> list[RelaxedObject]:
        return [each for each in self.found if each.status is Status.WHOLE]

    @property
    def unfinished(self) -> list[RelaxedObject]:
        """The broken ones, and the one that is open."""
        broken = [each for each in self.found if each.status is Status.BROKEN]
        return broken if self.open is None else [*broken, self.open]

    def gaps(self, text: str) -> Iterator[tuple[int, int]]:
        """Start and end of each stretch of *text* that is in no whole object."""
        position = 0
        for each in self.whole:
            yield position, each.start
            position = each.end
        yield position, len(text)

    def _begin(self, text: str) -> bool:
        start = text.find("{", self.position)
        self.steps += (len(text) if start < 0 else start) - self.position
        self.position = len(text) if start < 0 else start
        if start >= 0:
            self.open = RelaxedObject(start, self._limits)
        return start >= 0

    def _finish(self, done: RelaxedObject) -> None:
        self.open = None
        self.position = done.resume
        if done.status is Status.WHOLE or done.has_quoted_key:
            self.found.append(done)
