"""A real database whose statements can be stopped, or seem to fail, at a named place: before or after one commit."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import RowMapping

from storage.database import Database
from tests.support import clock
from tests.support.waiting import within


@dataclass
class DatabaseStop:
    """Holds the first statement that contains *marker* until it is released, or raises *error* there, once.

    *after*: the statement has taken effect by then.
    """

    marker: str
    after: bool = False
    error: Exception | None = None
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def here(self) -> None:
        self.reached.set()
        if self.error is not None:
            raise self.error
        await within("a release", self.released.wait(), lambda: self.marker)


class StoppingDatabase(Database):
    """Each of *stops* is used once."""

    def __init__(self, url: str, *stops: DatabaseStop) -> None:
        super().__init__(url, now=clock.now)
        self._stops = list(stops)

    async def rows(self, statement: str, values: Mapping[str, Any] | None = None) -> Sequence[RowMapping]:
        stop = next((each for each in self._stops if each.marker in statement), None)
        if stop is not None:
            self._stops.remove(stop)
            if not stop.after:
                await stop.here()
        result = await super().rows(statement, values)
        if stop is not None and stop.after:
            await stop.here()
        return result
