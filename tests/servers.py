"""The servers that tests run against: a PostgreSQL and a Temporal dev server of their own, gone when they end."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from launch.postgres import start_postgres
from schemas.operations import SEARCH_ATTRIBUTES
from tests.support.waiting import until_blocking

BIN = Path(sys.executable).parent


@contextmanager
def postgres_server() -> Iterator[str]:
    """A running server's address; its data is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="agent-pg-", ignore_cleanup_errors=True) as folder:
        server = start_postgres(Path(folder))
        try:
            yield server.url
        finally:
            server.stop()


@contextmanager
def temporal_server() -> Iterator[str]:
    """The address of a dev server in memory, with our search attributes."""
    port = free_port()
    attributes = [arg for name, kind in SEARCH_ATTRIBUTES.items() for arg in ("--search-attribute", f"{name}={kind}")]
    command = [BIN / "temporal", "server", "start-dev", "--headless", "--port", str(port), "--log-level", "error"]
    with subprocess.Popen([*command, *attributes], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        wait_for_port(port)
        yield f"127.0.0.1:{port}"
        server.terminate()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for_port(port: int) -> None:
    until_blocking(f"somebody who listens on port {port}", lambda: _knock(port), lambda answer: answer == "open")


def _knock(port: int) -> str:
    with socket.socket() as probe:
        error = probe.connect_ex(("127.0.0.1", port))
    return os.strerror(error) if error else "open"
