"""Every way in which PostgreSQL cannot do its work now is StorageUnavailable; what is wrong with us is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from storage.database import Database, StatementFailed, StorageUnavailable
from storage.health import storage_health
from tests.servers import execute

PASSING = [
    "08006",  # connection failure
    "25006",  # read-only transaction
    "28P01",  # invalid password
    "40001",  # serialisation failure
    "40P01",  # deadlock
    "42P01",  # undefined table
    "53000",  # insufficient resources
    "53100",  # disk full
    "53200",  # out of memory
    "53300",  # too many connections
    "53400",  # a configured limit is exceeded
    "57014",  # statement cancelled
    "57P01",  # shutdown
    "57P03",  # cannot connect now
    "58000",  # system error
    "58030",  # input or output error
    "58P01",  # undefined file
    "XX001",  # data corrupted
]
OURS = ["22001", "23505", "23503", "42601", "42501", "XX000", "P0001"]


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    database = Database(postgres_url, pool_size=2)
    yield database
    await database.close()


def raising(state: str) -> str:
    return f"DO $do$ BEGIN RAISE EXCEPTION 'as told' USING ERRCODE = '{state}'; END $do$"


@pytest.mark.parametrize("state", PASSING)
async def test_what_may_pass_is_unavailable(database: Database, state: str) -> None:
    with pytest.raises(StorageUnavailable):
        await database.rows(raising(state))
    with pytest.raises(StorageUnavailable):
        async with database.transaction() as transaction:
            await transaction.rows(raising(state))


@pytest.mark.parametrize("state", OURS)
async def test_what_is_wrong_with_the_statement_is_not(database: Database, state: str) -> None:
    with pytest.raises(StatementFailed):
        await database.rows(raising(state))


async def test_tables_that_changed_under_a_statement_are_read_anew(database: Database) -> None:
    """A migration, or a copy that is put back, beside running processes."""
    await database.rows("CREATE TABLE remade (id int)")
    await database.rows("SELECT * FROM remade")
    await database.rows("DROP TABLE remade")
    await database.rows("CREATE TABLE remade (id bigint, more int)")

    with pytest.raises(StorageUnavailable):
        await database.rows("SELECT * FROM remade")
    assert await database.rows("SELECT * FROM remade") == []
    await database.rows("DROP TABLE remade")


async def test_no_connection_is_left_for_us(postgres_url: str, database: Database) -> None:
    await database.rows("DROP ROLE IF EXISTS crowd")
    await database.rows("CREATE ROLE crowd LOGIN CONNECTION LIMIT 1")
    crowded = [Database(postgres_url.replace("postgres@", "crowd@")) for _ in range(2)]
    try:
        await crowded[0].rows("SELECT 1")
        with pytest.raises(StorageUnavailable, match="too many connections"):
            await crowded[1].rows("SELECT 1")
    finally:
        await asyncio.gather(*(each.close() for each in crowded))
        await database.rows("DROP ROLE crowd")


async def test_a_database_or_a_role_that_is_not_there(postgres_url: str) -> None:
    for url in (postgres_url.replace("/postgres?", "/nowhere?"), postgres_url.replace("postgres@", "nobody@")):
        database = Database(url)
        with pytest.raises(StorageUnavailable):
            await database.rows("SELECT 1")
        health = await storage_health(database)
        await database.close()

        assert not health.can_store
        assert len(health.reason.splitlines()) == 1


async def test_no_room_on_its_disk(database: Database) -> None:
    """A limit on temporary files stands for a full disk: the server refuses to write with class 53."""
    await database.rows("ALTER DATABASE postgres SET temp_file_limit = '64kB'")
    await database.engine.dispose()  # the setting is read when a connection begins
    try:
        health = await storage_health(database)
    finally:
        await database.rows("ALTER DATABASE postgres RESET temp_file_limit")

    assert (health.answers, health.writable) == (True, False)
    assert "temp_file_limit" in health.reason


async def test_connections_that_the_server_has_ended_are_replaced_unseen(postgres_url: str, database: Database) -> None:
    first = await database.row("SELECT pg_backend_pid() AS pid")
    assert first
    await execute(postgres_url, f"SELECT pg_terminate_backend({first['pid']}, 5000)")  # returns once it is gone

    second = await database.row("SELECT pg_backend_pid() AS pid")

    assert second
    assert second["pid"] != first["pid"]
