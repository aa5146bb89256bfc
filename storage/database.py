"""The connection to PostgreSQL: one pool a process, every statement its own transaction (erasure and export aside).

Statements are autocommitted and a connection is held only for one of them, never while a model is asked
(a pool that resets on release costs a second round trip).

All of them take the locks of rows in one order, so that no two wait for each other in a circle: names of customers
(`lock_in_order`) → `customers` → `effects` → `turns` → `conversations` → what belongs to those, and rows of one table
by their id. An insert counts: it locks the rows it points to, and an erased customer's trigger the conversation. A
statement that comes to a table from the other side locks first (`AS MATERIALIZED`, `FOR UPDATE`) what is before it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Literal, TypeVar

from asyncpg.exceptions import InvalidCachedStatementError
from sqlalchemy import RowMapping, event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from config.clock import Clock, utc_now
from schemas.encoding import dump_json
from storage.addresses import engine_for
from storage.suitability import plain_line, why_unusable

_UNAVAILABLE = (
    "08",  # the connection
    "28",  # it does not let us in (a password that was changed)
    "3D",  # our database is not there
    "40",  # others were given way to
    "53",  # no room: disk, memory, connections
    "57",  # starting, stopping, a statement that was cancelled
    "58",  # the system below it: an input or output error
    "25006",  # read-only, as a standby is
    "XX001",  # a damaged block
    "42P01",  # no such table, column or function: the migrations are not done yet
    "42703",
    "42883",
)
"""SQLSTATEs, or their beginnings, of a server that is unavailable or cannot do its work now. The statement is not to
blame, and the same one may succeed later."""


APPLICATION_NAME = "perplexity-agent"
"""By which PostgreSQL and its operators know our sessions."""


T = TypeVar("T")

_PAUSE_SECONDS = 0.25


class StorageUnavailable(Exception):
    """PostgreSQL cannot be reached, answer or write now. Nothing is known to be wrong with the statement.

    *advice*: the same, with what to do about it, for a command's user.
    """

    def __init__(self, reason: str, advice: str | None = None) -> None:
        super().__init__(reason)
        self.advice = advice or reason


class StatementFailed(Exception):
    """PostgreSQL refused a statement of ours: a defect. Its text names the error's code and constraint, never a value,
    for it travels to Temporal and into logs."""


class Transaction:
    """Statements that take effect together; ends with the block that `Database.transaction` opened."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def rows(self, statement: str, values: Mapping[str, Any] | None = None) -> Sequence[RowMapping]:
        result = await self._connection.execute(text(statement), dict(values or {}))
        return result.mappings().all() if result.returns_rows else []


class Database:
    """A pool of connections. *statement_seconds* bounds each statement and each wait for a connection.

    *now*: another clock than the machine's (tests) is the statements' clock too, by `agent_now()`.
    """

    def __init__(self, url: str, *, pool_size: int = 10, statement_seconds: float = 10.0, now: Clock = utc_now) -> None:
        self.engine: AsyncEngine = engine_for(
            url,
            isolation_level="AUTOCOMMIT",
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=statement_seconds,
            pool_reset_on_return=None,
            json_serializer=dump_json,
            connect={
                "timeout": statement_seconds,
                "command_timeout": statement_seconds,
                "server_settings": {"application_name": APPLICATION_NAME},
            },
        )

        event.listen(self.engine.sync_engine, "checkout", _refuse_closed)
        self._now = None if now is utc_now else now

    async def rows(self, statement: str, values: Mapping[str, Any] | None = None) -> Sequence[RowMapping]:
        """All rows of one statement. Raises StorageUnavailable when the server is unavailable."""
        with _told_plainly():
            async with self.engine.connect() as connection:
                await self._set_clock(connection)
                return await Transaction(connection).rows(statement, values)

    @asynccontextmanager
    async def transaction(
        self, isolation: Literal["READ COMMITTED", "REPEATABLE READ"] = "READ COMMITTED"
    ) -> AsyncIterator[Transaction]:
        """All or nothing: what is done within is undone if the block raises. For rare work, never during a turn."""
        with _told_plainly():
            async with self.engine.connect() as plain:
                connection = await plain.execution_options(isolation_level=isolation)
                await self._set_clock(connection)
                async with connection.begin():
                    yield Transaction(connection)

    async def row(self, statement: str, values: Mapping[str, Any] | None = None) -> RowMapping | None:
        """The first row, or None."""
        found = await self.rows(statement, values)
        return found[0] if found else None

    async def close(self) -> None:
        await self.engine.dispose()

    async def _set_clock(self, connection: AsyncConnection) -> None:
        if self._now is not None:
            raw = (await connection.get_raw_connection()).driver_connection
            assert raw is not None
            shift = self._now() - utc_now()
            try:
                await raw.execute("SELECT set_config('agent.clock_shift', $1, false)", f"{shift.total_seconds():.6f} s")
            except BaseException:  # SQLAlchemy does not know that the connection was left in the middle of a statement
                await connection.invalidate()
                raise


def _refuse_closed(connection: Any, *_: Any) -> None:
    """The pool opens another in the place of one that the server has ended meanwhile; asking it would cost a trip."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError


@contextmanager
def _told_plainly() -> Iterator[None]:
    """Turns what a driver raises into errors of ours. Theirs are left behind: they quote rows, and words with them."""
    try:
        yield
    except (OSError, TimeoutError, PoolTimeout, InterfaceError, OperationalError) as error:
        raise StorageUnavailable(plain_line(error), why_unusable(error)) from None
    except DBAPIError as error:
        if error.connection_invalidated or _is_prepared_anew(error) or _state(error).startswith(_UNAVAILABLE):
            raise StorageUnavailable(plain_line(error), why_unusable(error)) from None
        raise StatementFailed(_named(error)) from None


def _is_prepared_anew(error: DBAPIError) -> bool:
    """A migration, or a copy that was put back, changed the tables under a statement that was prepared before; nothing
    was done, and the next time it is prepared for what is there."""
    return isinstance(getattr(error.orig, "__cause__", None), InvalidCachedStatementError)


def _state(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", "") or getattr(error.orig, "pgcode", "") or "")


def _named(error: DBAPIError) -> str:
    cause = getattr(error.orig, "__cause__", None) or error.orig
    names = [
        _state(error),
        type(cause).__name__,
        *(getattr(cause, name, None) for name in ("table_name", "constraint_name")),
    ]
    return " ".join(str(name) for name in names if name)


async def retry_while_unavailable(write: Callable[[], Awaitable[T]], retry_seconds: float) -> T:
    """Repeats *write*, which must be safe to repeat, until it succeeds; StorageUnavailable after *retry_seconds*."""
    deadline = time.monotonic() + retry_seconds
    while True:
        try:
            return await write()
        except StorageUnavailable:
            if time.monotonic() >= deadline:
                raise
        await asyncio.sleep(_PAUSE_SECONDS)
