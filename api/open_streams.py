"""How many answers this process shows as they are written: each holds a connection and reads the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class TooManyStreams(Exception):
    """As many as there may be are open."""


class OpenStreams:
    """A place for each; up to *most* at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.open = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Raises TooManyStreams."""
        if self.open >= self._most:
            raise TooManyStreams
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1
