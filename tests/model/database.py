"""A real database for actors: each statement that counts is a stop, and a variant's text takes the core's place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from config.clock import Clock
from storage.database import Database, Transaction
from tests.model.statements import BEGINS, statement_of
from tests.model.stops import Place, Stops
from tests.model.virtual_loop import VirtualLoop

STANDING_CLOCK = """
CREATE OR REPLACE FUNCTION agent_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
RETURN current_setting('agent.clock')::timestamptz
"""
"""The statements' clock, which stands still while they run: how long they take would put them in another order."""


@dataclass(frozen=True)
class Rewrite:
    """In the statement that holds *marker*, *new* takes the place of *old*: what a variant changes."""

    marker: str
    old: str
    new: str


class ModelDatabase(Database):
    """Kept from one example to the next; `stops` are the running example's."""

    def __init__(self, url: str, loop: VirtualLoop, now: Clock) -> None:
        super().__init__(url, now=now)
        self._loop = loop
        self._clock = now
        self._one_by_one = asyncio.Lock()
        """Whose statement is under way: in the order in which they were sent, not in that of their ends."""
        self.stops = Stops(loop)
        self.rewrites: Sequence[Rewrite] = ()
        self.rewritten: set[Rewrite] = set()
        """Which of them met a statement."""
        self.waited: list[tuple[UUID, datetime]] = []
        """Turns that found no room in their account, and when."""
        self._set_to = (now(), 0)
        """The clock, and how many statements it was set for."""

    async def rows(self, statement: str, values: Mapping[str, Any] | None = None) -> Sequence[RowMapping]:
        known = statement_of(statement, values)
        if known is not None:
            await self.stops.at(Place.BEFORE, known.name)
        result = await asyncio.shield(self._loop.create_task(self._sent(statement, values)))
        if known is not None and known.name == BEGINS and result[0]["wait_seconds"] > 0:
            assert values is not None
            self.waited.append((values["turn_id"], self._clock()))
        if known is not None and known.writes:
            await self.stops.at(Place.AFTER, known.name)
        return result

    async def _sent(self, statement: str, values: Mapping[str, Any] | None) -> Sequence[RowMapping]:
        """To its end, also if its sender is cancelled before it: else timing decides what became of it."""
        async with self._one_by_one:
            with self._loop.real():
                return await super().rows(self._rewritten(statement), values)

    async def _set_clock(self, connection: AsyncConnection) -> None:
        """To a microsecond for each statement, so that what was sent later is later."""
        now, before = self._clock(), self._set_to
        self._set_to = (now, before[1] + 1 if before[0] == now else 0)
        at = now + timedelta(microseconds=self._set_to[1])
        raw = (await connection.get_raw_connection()).driver_connection
        assert raw is not None
        await raw.execute("SELECT set_config('agent.clock', $1, false)", at.isoformat())

    @asynccontextmanager
    async def transaction(
        self, isolation: Literal["READ COMMITTED", "REPEATABLE READ"] = "READ COMMITTED"
    ) -> AsyncIterator[Transaction]:
        with self._loop.real():
            async with super().transaction(isolation) as transaction:
                yield transaction

    def _rewritten(self, statement: str) -> str:
        for each in self.rewrites:
            if each.marker in statement and each.old in statement:
                self.rewritten.add(each)
                statement = statement.replace(each.old, each.new, 1)
        return statement
