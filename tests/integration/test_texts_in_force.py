"""A function of the database is changed where it stands: old databases and new ones get the text, by a migration."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from storage.addresses import engine_for
from storage.migrate import upgrade_on
from storage.sql_files import put_in_force
from tests.servers import database_at, execute, fresh_database
from tests.support.later_version import LaterVersion

_FUNCTIONS = "SELECT proname || prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1"
_OF_LIMITS = "SELECT pg_get_function_identity_arguments(oid) FROM pg_proc WHERE proname = 'tell_of_limit'"


@pytest.fixture
async def old(postgres_url: str) -> str:
    return await fresh_database(postgres_url, f"old_{uuid4().hex}")


@pytest.fixture
async def new(postgres_url: str) -> str:
    name = f"new_{uuid4().hex}"
    await execute(postgres_url, f"CREATE DATABASE {name}")
    return database_at(postgres_url, name)


async def values(url: str, statement: str) -> list[object]:
    engine = engine_for(url)
    async with engine.connect() as connection:
        found = list((await connection.execute(text(statement))).scalars())
    await engine.dispose()
    return found


async def test_a_changed_function_is_in_force_in_both(old: str, new: str, tmp_path: Path) -> None:
    later = LaterVersion(tmp_path)
    later.edit("owner.sql", "ELSE 'bot' END", "ELSE 'robot' END")
    assert await values(old, "SELECT state_of('bot', 0, 0)") == ["bot"]

    for url in (old, new):
        later.migrate(url)
        assert await values(url, "SELECT state_of('bot', 0, 0)") == ["robot"]
    assert await values(old, _FUNCTIONS) == await values(new, _FUNCTIONS)


async def test_a_function_may_need_what_its_migration_makes(old: str, new: str, tmp_path: Path) -> None:
    later = LaterVersion(tmp_path, "op.execute('ALTER TABLE customers ADD COLUMN nickname text')")
    later.add("nicknames.sql", "CREATE OR REPLACE VIEW nicknames AS SELECT nickname FROM customers;")

    for url in (old, new):
        later.migrate(url)
        assert await values(url, "SELECT nickname FROM nicknames") == []


async def test_a_function_of_other_arguments_takes_the_place_of_the_first(old: str, new: str, tmp_path: Path) -> None:
    later = LaterVersion(tmp_path, "op.execute('DROP FUNCTION IF EXISTS tell_of_limit')")
    later.edit("limits.sql", ", p_seconds double precision", ", p_seconds int")

    for url in (old, new):
        later.migrate(url)
        assert await values(url, _OF_LIMITS) == ["p_key text, p_seconds integer"]


async def test_all_of_it_can_be_put_in_force_again(new: str) -> None:
    await upgrade_on(new)
    before = await values(new, _FUNCTIONS)

    engine = engine_for(new)
    async with engine.begin() as connection:
        await connection.run_sync(put_in_force)
    await engine.dispose()

    assert await values(new, _FUNCTIONS) == before
