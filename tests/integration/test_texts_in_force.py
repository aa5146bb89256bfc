"""A function of the database is changed where it stands: old databases and new ones get the text, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from storage.addresses import engine_for
from storage.database import Database
from storage.migrate import is_current, upgrade_on
from storage.sql_files import FOLDER
from storage.tables import metadata
from tests.servers import database_at, execute, fresh_database
from tests.support.later_version import LaterVersion

_FUNCTIONS = "SELECT proname || prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1"
_NAMES = "SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1"
_OF_LIMITS = "SELECT pg_get_function_identity_arguments(oid) FROM pg_proc WHERE proname = 'tell_of_limit'"
_VIEWS = "SELECT viewname FROM pg_views WHERE schemaname = 'public' ORDER BY 1"
_TRIGGERS = "SELECT tgname || ' on ' || tgrelid::regclass FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1"
_WRITTEN = """SELECT proname || xmin FROM pg_proc WHERE pronamespace = 'public'::regnamespace
              UNION ALL SELECT tgname || xmin FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1"""
_FILES = [path.relative_to(FOLDER).as_posix() for path in FOLDER.glob("*.sql")]


@pytest.fixture
async def old(postgres_url: str) -> str:
    return await fresh_database(postgres_url, f"old_{uuid4().hex}")


@pytest.fixture
async def new(postgres_url: str) -> str:
    name = f"new_{uuid4().hex}"
    await execute(postgres_url, f"CREATE DATABASE {name}")
    return database_at(postgres_url, name)


@pytest.fixture
def later(tmp_path: Path) -> LaterVersion:
    return LaterVersion(tmp_path)


async def values(url: str, statement: str) -> list[object]:
    engine = engine_for(url)
    async with engine.connect() as connection:
        found = list((await connection.execute(text(statement))).scalars())
    await engine.dispose()
    return found


async def current(url: str) -> bool:
    database = Database(url)
    try:
        return await is_current(database)
    finally:
        await database.close()


@asynccontextmanager
async def writer_everywhere(url: str) -> AsyncIterator[None]:
    """A transaction that has written to each table and read each view, and is not over."""
    engine = engine_for(url)
    async with engine.connect() as connection:
        for table in metadata.tables:
            await connection.execute(text(f"LOCK TABLE {table} IN ROW EXCLUSIVE MODE"))
        for view in ("standings", "deliveries"):
            await connection.execute(text(f"SELECT 1 FROM {view} LIMIT 1"))
        yield
    await engine.dispose()


async def test_a_changed_function_is_in_force_in_both(old: str, new: str, later: LaterVersion) -> None:
    later.edit("owner.sql", "ELSE 'bot' END", "ELSE 'robot' END")
    assert await values(old, "SELECT state_of('bot', 0, 0)") == ["bot"]

    later.migrate(old, new)

    for url in (old, new):
        assert await values(url, "SELECT state_of('bot', 0, 0)") == ["robot"]
    assert await values(old, _FUNCTIONS) == await values(new, _FUNCTIONS)


async def test_functions_are_put_in_force_beside_a_transaction_that_writes(old: str, later: LaterVersion) -> None:
    for name in _FILES:
        later.edit(name, "-- ", "-- Edited. ")
    later.edit("owner.sql", "ELSE 'bot' END", "ELSE 'robot' END")

    async with writer_everywhere(old):
        later.migrate(old)

    assert await values(old, "SELECT state_of('bot', 0, 0)") == ["robot"]


async def test_a_database_with_other_texts_is_not_current(old: str, later: LaterVersion) -> None:
    later.edit("owner.sql", "ELSE 'bot' END", "ELSE 'robot' END")
    assert await current(old)

    later.migrate(old)
    assert not await current(old)
    await upgrade_on(old)

    assert await current(old)
    assert await values(old, "SELECT state_of('bot', 0, 0)") == ["bot"]


async def test_what_is_in_force_is_left_alone(new: str) -> None:
    await upgrade_on(new)
    before = await values(new, _WRITTEN)

    await upgrade_on(new)

    assert await values(new, _WRITTEN) == before


async def test_a_function_may_need_what_its_migration_makes(old: str, new: str, tmp_path: Path) -> None:
    later = LaterVersion(tmp_path, "op.execute('ALTER TABLE customers ADD COLUMN nickname text')")
    later.add("views/nicknames.sql", "CREATE OR REPLACE VIEW nicknames AS SELECT nickname FROM customers;")

    later.migrate(old, new)

    for url in (old, new):
        assert await values(url, "SELECT nickname FROM nicknames") == []


async def test_a_function_of_other_arguments_takes_the_place_of_the_first(
    old: str, new: str, later: LaterVersion
) -> None:
    later.edit("limits.sql", ", p_seconds double precision", ", p_seconds int")

    later.migrate(old, new)

    for url in (old, new):
        assert await values(url, _OF_LIMITS) == ["p_key text, p_seconds integer"]


async def test_what_no_file_defines_any_more_is_dropped(old: str, new: str, later: LaterVersion) -> None:
    await execute(old, "CREATE FUNCTION theirs() RETURNS int LANGUAGE sql RETURN 1")
    later.edit("owner.sql", "FUNCTION begin_new_thread", "FUNCTION start_thread")
    later.edit("views/deliveries.sql", "VIEW deliveries", "VIEW sent_parts")
    later.edit("triggers/tickets.sql", "TRIGGER tickets_blank_if_erased", "TRIGGER tickets_empty")
    later.remove("triggers/handoffs.sql")

    later.migrate(old, new)

    assert await values(old, _VIEWS) == ["sent_parts", "standings"]
    for names in (_NAMES, _VIEWS, _TRIGGERS):
        assert set(await values(old, names)) - {"theirs"} == set(await values(new, names))
    assert "theirs" in await values(old, _NAMES)


async def test_what_a_migration_dropped_is_made_again(old: str, tmp_path: Path) -> None:
    later = LaterVersion(
        tmp_path, "op.execute('DROP VIEW deliveries')", "op.execute('DROP FUNCTION keep_media CASCADE')"
    )
    before = await values(old, _FUNCTIONS), await values(old, _VIEWS), await values(old, _TRIGGERS)

    later.migrate(old)

    assert (await values(old, _FUNCTIONS), await values(old, _VIEWS), await values(old, _TRIGGERS)) == before
