"""Brings a database to the newest schema: `agent migrate`, and each start of `make run`.

The migrations that are missing run, then functions, views and triggers are put in force where their texts are others
(`storage/sql_files.py`).
Two processes may start at once: the second waits for the first (advisory lock), then finds nothing to do.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from storage.addresses import engine_for
from storage.database import Database, StorageUnavailable
from storage.sql_files import put_in_force, sql_files
from storage.suitability import DatabaseUnusable, check_suitable, told_as_unusable

_LOCK = 7_146_301_559  # any number; it names this program's migrations among advisory locks
_CONNECT_SECONDS = 10.0  # DATABASE_TIMEOUT_SECONDS where the settings are known

_STANDS_AT = """
SELECT (SELECT version_num FROM alembic_version) AS revision,
       ARRAY(SELECT file || ' ' || digest FROM texts_in_force) AS texts
"""
_IS_MADE = "SELECT to_regclass('alembic_version') IS NOT NULL AND to_regclass('texts_in_force') IS NOT NULL AS made"


def upgrade(database_url: str, connect_seconds: float = _CONNECT_SECONDS) -> None:
    """Applies what is missing. Raises DatabaseUnusable: not reached, not suitable, or a migration that failed."""
    with told_as_unusable():
        asyncio.run(upgrade_on(database_url, connect_seconds))


def newest_revision() -> str:
    """The revision that this code expects."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


def knows(revision: str) -> bool:
    """Whether this code can bring a database of *revision* to the newest."""
    return any(known.revision == revision for known in ScriptDirectory.from_config(_config()).walk_revisions())


async def is_current(database: Database) -> bool:
    """Whether the database has exactly the schema that this code expects, its functions included."""
    try:
        found = await database.row(_STANDS_AT)
    except StorageUnavailable:
        made = await database.row(_IS_MADE)
        if made is None or made["made"]:
            raise
        return False
    texts = {f"{name} {file.digest}" for name, file in sql_files().items()}
    return found is not None and found["revision"] == newest_revision() and set(found["texts"]) == texts


async def upgrade_on(database_url: str, connect_seconds: float = _CONNECT_SECONDS) -> None:
    engine = engine_for(database_url, {"timeout": connect_seconds})
    try:
        async with engine.begin() as connection:
            await check_suitable(connection)
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            await connection.run_sync(_run)
    finally:
        await engine.dispose()


def _run(connection: Connection) -> None:
    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and not knows(found):
        raise DatabaseUnusable(f"its revision {found} is not known to this version; use the one that made it")
    if found != newest_revision():
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    put_in_force(connection)


def _config() -> Config:
    config = Config()
    folder = str(Path(__file__).parent / "migrations")
    config.set_main_option("script_location", folder.replace("%", "%%"))  # its values are interpolated
    return config
