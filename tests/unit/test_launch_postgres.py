"""The embedded server: kept data, long paths, killed servers and stale lock files."""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from config.settings import Settings
from launch.postgres import (
    FAST_SHUTDOWN,
    RunningPostgres,
    is_waiting_for_clients,
    kill_orphaned_servers,
    start_postgres,
)
from tests.support.waiting import until_blocking

pytestmark = pytest.mark.processes

SETTINGS = Settings(_env_file=None)  # type: ignore[call-arg]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Reachable for PostgreSQL's account, as pytest's own temp folder is not for root."""
    with tempfile.TemporaryDirectory(prefix="agent-pg-", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o711)
        yield Path(place)


async def count(server: RunningPostgres) -> int:
    """Adds a row and counts what is there."""
    connection = await asyncpg.connect(server.url)
    try:
        await connection.execute("CREATE TABLE IF NOT EXISTS kept (number serial)")
        await connection.execute("INSERT INTO kept DEFAULT VALUES")
        return int(await connection.fetchval("SELECT count(*) FROM kept"))
    finally:
        await connection.close()


async def test_a_second_start_finds_what_the_first_kept(folder: Path) -> None:
    for expected in (1, 2):
        server = start_postgres(folder / "postgres", SETTINGS)
        assert await count(server) == expected
        server.stop()
        assert not server.alive()


async def test_a_path_too_long_for_a_socket(folder: Path) -> None:
    deep = folder / ("long" * 40)
    deep.mkdir(mode=0o711)

    server = start_postgres(deep / "postgres", SETTINGS)

    assert await count(server) == 1
    server.stop()


async def test_a_killed_server_starts_again_with_all_that_was_committed(folder: Path) -> None:
    first = start_postgres(folder / "postgres", SETTINGS)
    await count(first)
    first.process.send_signal(signal.SIGKILL)
    first.process.wait(30)

    second = start_postgres(folder / "postgres", SETTINGS)

    assert await count(second) == 2
    second.stop()


async def test_a_server_left_running_is_replaced(folder: Path) -> None:
    left = start_postgres(folder / "postgres", SETTINGS)
    await count(left)

    server = start_postgres(folder / "postgres", SETTINGS)

    left.process.wait(30)  # it is gone; with which code is its own affair, for what it held is there
    assert await count(server) == 2
    server.stop()


async def test_a_lock_file_with_a_pid_of_somebody_else(folder: Path) -> None:
    start_postgres(folder / "postgres", SETTINGS).stop()
    (folder / "postgres" / "postmaster.pid").write_text(f"1\n{folder / 'postgres'}\n1\n5432\n\n\n\nready\n")

    server = start_postgres(folder / "postgres", SETTINGS)

    assert await count(server) == 1
    server.stop()


def runs(process: psutil.Process) -> bool:
    """A zombie does not: nobody may have looked after it yet."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
async def frozen(folder: Path) -> AsyncIterator[tuple[RunningPostgres, psutil.Process]]:
    """A server, and the one of its children that does not end."""
    server = start_postgres(folder / "postgres", SETTINGS)
    client = await asyncpg.connect(server.url)
    child = psutil.Process(await client.fetchval("SELECT pg_backend_pid()"))
    child.suspend()
    yield server, child
    client.terminate()
    server.process.kill()
    server.process.wait(10)
    if runs(child):
        child.kill()


async def test_a_frozen_child_of_a_killed_server_is_not_waited_for(
    frozen: tuple[RunningPostgres, psutil.Process],
) -> None:
    server, child = frozen
    server.process.send_signal(signal.SIGKILL)
    server.process.wait(30)
    began = time.monotonic()

    kill_orphaned_servers(server.cluster, SETTINGS.model_copy(update={"postgres_orphans_seconds": 0.1}))

    assert time.monotonic() - began < SETTINGS.postgres_orphans_seconds
    assert not runs(child)


async def test_asked_to_stop_a_running_server_is_not_waited_for(
    frozen: tuple[RunningPostgres, psutil.Process],
) -> None:
    server, child = frozen
    began = time.monotonic()

    kill_orphaned_servers(server.cluster, SETTINGS, lambda: True)

    assert time.monotonic() - began < 5
    assert server.process.wait(5) == -signal.SIGKILL
    assert not runs(child)


@pytest.mark.parametrize(
    "statement", ["SELECT 'Unmistakable'::uuid", "INSERT INTO named VALUES (NULL, 'Unmistakable')"]
)
async def test_its_log_quotes_no_value_of_a_statement_that_fails(folder: Path, statement: str) -> None:
    server = start_postgres(folder / "postgres", SETTINGS)
    client = await asyncpg.connect(server.url)
    await client.execute("CREATE TABLE named (id int NOT NULL, name text)")
    with pytest.raises(asyncpg.PostgresError):
        await client.execute(statement)
    await client.close()
    server.stop()

    said = (folder / "postgres" / "server.log").read_text()
    assert "ready to accept connections" in said
    assert "Unmistakable" not in said


async def test_somebody_elses_stop_is_seen_to_wait_for_clients(folder: Path) -> None:
    server = start_postgres(folder / "postgres", SETTINGS)
    client = await asyncpg.connect(server.url)
    assert not is_waiting_for_clients(server.cluster, server.pid)

    server.process.send_signal(signal.SIGTERM)
    until_blocking("a server that waits", lambda: is_waiting_for_clients(server.cluster, server.pid))
    alive = server.alive()
    server.process.send_signal(FAST_SHUTDOWN)

    assert alive
    assert server.process.wait(30) == 0
    with pytest.raises(asyncpg.PostgresConnectionError):
        await client.fetchval("SELECT 1")
    await client.close()
