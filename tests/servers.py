"""The servers that tests run against: a PostgreSQL and a Temporal dev server of their own, gone when they end."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from config.settings import Settings
from launch.postgres import start_postgres
from launch.processes import end, spawn
from schemas.operations import SEARCH_ATTRIBUTES
from storage.migrate import upgrade_on
from tests.ports import free_port
from tests.support.waiting import LONGEST_SECONDS, until_blocking, within

BIN = Path(sys.executable).parent
MIGRATED = "migrated"
"""A database in each server of ours, to copy: a copy takes a tenth of the migrations' time. Nobody else connects to it,
for while anybody does it cannot be copied."""

_STOP_SECONDS = 10.0


@contextmanager
def postgres_server() -> Iterator[str]:
    """A running server's address, with the database MIGRATED; its data is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="agent-pg-", ignore_cleanup_errors=True) as folder:
        server = start_postgres(Path(folder), Settings(_env_file=None), durable=False)  # type: ignore[call-arg]
        try:
            _make_migrated(server.url)
            yield server.url
        finally:
            server.stop()


def database_at(postgres_url: str, name: str) -> str:
    """The address of the database *name* on the same server."""
    return postgres_url.replace("/postgres?", f"/{name}?")


async def fresh_database(postgres_url: str, name: str) -> str:
    """The address of a new database of that name, in our newest schema."""
    await execute(postgres_url, f"CREATE DATABASE {name} TEMPLATE {MIGRATED} STRATEGY FILE_COPY")
    return database_at(postgres_url, name)


async def drop_database(postgres_url: str, name: str) -> None:
    """A run makes hundreds of them, of ten megabytes each."""
    await execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def temporal_server() -> Iterator[str]:
    """The address of a dev server in memory, with our search attributes."""
    port = free_port()
    attributes = [arg for name, kind in SEARCH_ATTRIBUTES.items() for arg in ("--search-attribute", f"{name}={kind}")]
    command = [str(BIN / "temporal"), "server", "start-dev", "--headless", "--port", str(port), "--log-level", "error"]
    server = spawn([*command, *attributes], log=Path(os.devnull), environment=os.environ)
    try:
        wait_for_port(port)
        yield f"127.0.0.1:{port}"
    finally:
        end(server, signal.SIGKILL, _STOP_SECONDS)  # it keeps nothing


def wait_for_port(port: int) -> None:
    until_blocking(f"somebody who listens on port {port}", lambda: _knock(port), lambda answer: answer == "open")


def _knock(port: int) -> str:
    with socket.socket() as probe:
        error = probe.connect_ex(("127.0.0.1", port))
    return os.strerror(error) if error else "open"


def _make_migrated(postgres_url: str) -> None:
    async def create() -> None:
        await execute(postgres_url, f"CREATE DATABASE {MIGRATED}")
        done.append("created")
        await upgrade_on(database_at(postgres_url, MIGRATED))

    done: list[str] = []
    in_time = within(f"the database {MIGRATED}", create(), lambda: done, seconds=25)
    with ThreadPoolExecutor(1) as thread:  # its own loop: the caller's may be running
        thread.submit(asyncio.run, in_time).result(LONGEST_SECONDS)


async def execute(postgres_url: str, statement: str) -> None:
    """One statement outside of any transaction, on a connection of its own."""
    connection = await asyncpg.connect(postgres_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
