"""`agent backup` and `agent restore` on a PostgreSQL of any version of ours, with and without what they need."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from storage.addresses import engine_for
from storage.database import Database
from storage.migrate import is_current, upgrade_on
from tests.commands import agent as agent_process
from tests.commands import agent_here
from tests.servers import database_at, execute, fresh_database
from tests.support.later_version import LaterVersion
from tests.support.waiting import LONGEST_SECONDS

pytestmark = pytest.mark.processes  # where no server is needed, too


@pytest.fixture
async def url(postgres_url: str) -> str:
    name = f"copied_{uuid4().hex}"
    await execute(postgres_url, f"CREATE DATABASE {name}")
    return database_at(postgres_url, name)


def agent(url: str, folder: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """In *folder*; Temporal is nowhere, so that the conversations cannot be told."""
    return agent_here(folder, *words, **known(url, folder), **settings)


def run(command: list[str], folder: Path, settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    environment = os.environ | settings
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=LONGEST_SECONDS)


def known(url: str, folder: Path) -> dict[str, str]:
    return {"DATABASE_URL": url, "DATA_DIR": str(folder), "TEMPORAL_ADDRESS": "127.0.0.1:1"}


async def tables(url: str) -> set[str]:
    engine = engine_for(url)
    async with engine.connect() as connection:
        found = await connection.execute(
            text("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")
        )
        names = set(found.scalars())
    await engine.dispose()
    return names


async def current(url: str) -> bool:
    database = Database(url)
    try:
        return await is_current(database)
    finally:
        await database.close()


async def test_a_copy_of_an_older_version_becomes_current(url: str, tmp_path: Path) -> None:
    later = LaterVersion(tmp_path, "op.execute('CREATE TABLE of_the_later_version ()')")
    await upgrade_on(url)
    copied = agent_process(tmp_path, "backup", "old.dump", **known(url, tmp_path))
    later.migrate(url)
    await execute(url, "CREATE TABLE of_a_newer_version ()")
    await execute(url, "CREATE TYPE mood AS ENUM ('good')")

    restored = run(later.agent("restore", "old.dump"), tmp_path, known(url, tmp_path))

    assert copied.returncode == 0, copied.stderr
    assert "restored, but Temporal" in restored.stderr, restored.stderr
    assert "of_the_later_version" in await tables(url)
    assert "of_a_newer_version" not in await tables(url)
    later.migrate(url)


async def test_a_file_that_is_no_copy_of_ours_changes_nothing(url: str, tmp_path: Path) -> None:
    await execute(url, "CREATE TABLE theirs AS SELECT 1 AS one")
    agent(url, tmp_path, "backup", "theirs.dump")

    restored = agent(url, tmp_path, "restore", "theirs.dump")

    assert restored.returncode == 2
    assert "is no copy of this system's database" in restored.stderr
    assert await tables(url) == {"theirs"}


async def test_a_copy_that_ends_too_soon_changes_nothing(url: str, tmp_path: Path) -> None:
    await upgrade_on(url)
    agent(url, tmp_path, "backup", "whole.dump")
    whole = (tmp_path / "whole.dump").read_bytes()
    (tmp_path / "cut.dump").write_bytes(whole[: len(whole) - 200])
    before = await tables(url)

    restored = agent(url, tmp_path, "restore", "cut.dump")

    assert restored.returncode == 2
    assert len(restored.stderr.strip().splitlines()) == 1, restored.stderr
    assert await tables(url) == before
    assert await current(url)


async def test_a_newer_versions_copy_is_refused(url: str, tmp_path: Path) -> None:
    await upgrade_on(url)
    await execute(url, "UPDATE alembic_version SET version_num = '9999'")
    agent(url, tmp_path, "backup", "newer.dump")

    restored = agent(url, tmp_path, "restore", "newer.dump")

    assert "a newer version wrote it (revision 9999)" in restored.stderr


@pytest.fixture
async def fresh(postgres_url: str) -> str:
    return await fresh_database(postgres_url, f"backup_{uuid4().hex}")


@pytest.mark.parametrize("name", ["-x.dump", "n" * 245, "blank % 'x.dump"])
def test_odd_names_of_files(fresh: str, tmp_path: Path, name: str) -> None:
    copied = agent(fresh, tmp_path, "backup", "--", name)

    assert copied.returncode == 0, copied.stderr
    assert (tmp_path / name).stat().st_size > 1_000
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_name_that_is_too_long_is_told(fresh: str, tmp_path: Path) -> None:
    done = agent(fresh, tmp_path, "backup", "n" * 256)

    assert done.returncode == 2
    assert "File name too long; give it another name" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_server_that_never_answers_is_not_waited_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://ana:hidden@127.0.0.1:{silent.getsockname()[1]}/x"
        done = agent(url, tmp_path, "backup", "x.dump", DATABASE_TIMEOUT_SECONDS="1")

    assert done.returncode == 2
    assert "timeout expired" in done.stderr
    assert "hidden" not in done.stderr


def test_only_a_file_is_a_copy(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    done = agent("postgresql://127.0.0.1:1/x", tmp_path, "restore", "pipe")

    assert (done.returncode, done.stderr) == (
        2,
        "agent: pipe: is a pipe, and `pg_restore` reads twice; name a file that `agent backup` wrote\n",
    )
