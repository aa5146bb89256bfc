"""Brings a database to the newest schema: `agent migrate`, and each start of `make run`.

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
from sqlalchemy.ext.asyncio import create_async_engine

from storage.database import Database, driver_url

_LOCK = 7_146_301_559  # any number; it names this program's migrations among advisory locks


def upgrade(database_url: str) -> None:
    """Applies what is missing. Raises OSError or sqlalchemy's DBAPIError if the database cannot be reached."""
    asyncio.run(upgrade_on(database_url))


def newest_revision() -> str:
    """The revision that this code expects."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


async def is_current(database: Database) -> bool:
    """Whether the database has exactly the schema that this code expects."""
    found = await database.row("SELECT to_regclass('alembic_version') IS NOT NULL AS made")
    if found is None or not found["made"]:
        return False
    version = await database.row("SELECT version_num FROM alembic_version")
    return version is not None and version["version_num"] == newest_revision()


async def upgrade_on(database_url: str) -> None:
    engine = create_async_engine(driver_url(database_url))
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            await connection.run_sync(_run)
    finally:
        await engine.dispose()


def _run(connection: Connection) -> None:
    if MigrationContext.configure(connection).get_current_revision() == newest_revision():
        return
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
