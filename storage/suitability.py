"""Whether a PostgreSQL can be ours, asked before the first migration; and what went wrong, in PostgreSQL's words."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from config.errors import first_line
from storage.parameters import WrongParameter

OLDEST_SERVER = 15
"""The oldest PostgreSQL that was tried; older ones get no corrections any more."""

_REMEDIES = {
    "3D000": "make it: CREATE DATABASE … ENCODING 'UTF8'",
    "28P01": "check user and password; signs like @ : / # must be percent-encoded",
    "28000": "check the user, and pg_hba.conf",
    "42501": "give the user the right: ALTER DATABASE … OWNER TO, or GRANT CREATE ON SCHEMA public",
    "53300": "raise max_connections, or close other programs' connections",
    "53100": "make room on the database's disk",
    "57P03": "wait until it has started",
    "42704": "take that parameter out of the address",
}
_QUESTIONS = """
    SELECT current_setting('server_version_num')::int / 10000 AS version,
           current_setting('server_encoding') AS encoding,
           pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS read_only
"""


_RAISED = (
    *(OSError, TimeoutError, asyncio.IncompleteReadError, ValueError),
    *(SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError),
)


class DatabaseUnusable(Exception):
    """The message is one line: what PostgreSQL said (or that it said nothing), and the remedy. It names no address."""


async def check_suitable(connection: AsyncConnection) -> None:
    """Raises DatabaseUnusable for a server that our schema cannot stand on."""
    found = (await connection.execute(text(_QUESTIONS))).mappings().one()
    if found["version"] < OLDEST_SERVER:
        raise DatabaseUnusable(f"PostgreSQL {found['version']} is too old; {OLDEST_SERVER} or newer is needed")
    if found["encoding"] != "UTF8":
        raise DatabaseUnusable(
            f"the database's encoding is {found['encoding']}, and UTF8 is needed;"
            " make another: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )
    if found["read_only"]:
        raise DatabaseUnusable("this server only reads (a standby, or read-only by its settings); name the primary")


@contextmanager
def told_as_unusable() -> Iterator[None]:
    """Turns what the driver raises while connecting and migrating into DatabaseUnusable."""
    try:
        yield
    except _RAISED as error:
        raise DatabaseUnusable(why_unusable(error)) from None


def why_unusable(error: BaseException) -> str:
    """One line for what the driver, or SQLAlchemy over it, raised: PostgreSQL's words, and the remedy."""
    if isinstance(_cause(error), asyncpg.exceptions.ClientConfigurationError):
        return plain_line(error)
    if isinstance(error, OSError | TimeoutError | asyncio.IncompleteReadError):
        return f"cannot be reached: {first_line(error)}; is the address right, and does it run?"
    if isinstance(error, DBAPIError | asyncpg.PostgresError | asyncpg.InterfaceError):
        return _said(error)
    if isinstance(error, SQLAlchemyError | asyncpg.InternalClientError):
        return f"{first_line(error)}; does a PostgreSQL listen there?"
    return "a parameter of the address cannot be used; see docs/setup.md"  # the driver's words quote the address


def plain_line(error: BaseException) -> str:
    """What the driver said, without the words of the libraries around it."""
    cause = _cause(error)
    if isinstance(cause, WrongParameter):
        return str(cause)
    if isinstance(cause, asyncpg.exceptions.ClientConfigurationError):
        return f"{_parameter(cause)} cannot be used; see docs/setup.md"
    return first_line(cause)


def _cause(error: BaseException) -> BaseException:
    """What the driver raised, where SQLAlchemy wrapped it."""
    driver = getattr(error, "orig", None) or error
    return driver if isinstance(driver, WrongParameter) else driver.__cause__ or driver


def _parameter(error: BaseException) -> str:
    """Which parameter of the address the driver speaks of."""
    named = re.search("sslmode|target_session_attrs|sslrootcert|sslcert|sslkey|sslcrl", str(error))
    return f"the parameter {named[0]} of the address" if named else "a parameter of the address"


def _said(error: Exception) -> str:
    """PostgreSQL's own words, with what to do where that is known."""
    cause = _cause(error)
    state = str(getattr(getattr(error, "orig", error), "sqlstate", None) or getattr(cause, "sqlstate", None) or "")
    remedy = _REMEDIES.get(state)
    words = first_line(cause)
    said = f"PostgreSQL says: {words}" if state else words
    return f"{said}; {remedy}" if remedy else said
