"""`agent run` with a Temporal of the user's own, on which nobody has made the search attributes."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.ports import free_port
from tests.support.waiting import START_SECONDS, until_blocking
from tests.system.running import AGENT
from tests.system.stopping import begun

TEMPORAL = AGENT.with_name("temporal")


@contextmanager
def temporal(*options: str) -> Iterator[str]:
    """The address of a server that keeps nothing."""
    port = free_port()
    command = [TEMPORAL, "server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", str(port), *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            until_blocking(f"a Temporal that listens on port {port}", lambda: _knock(port), lambda error: not error)
            yield f"127.0.0.1:{port}"
        finally:
            server.terminate()


def _knock(port: int) -> str:
    """What is in the way of a connection; empty if nothing is."""
    with socket.socket() as probe:
        error = probe.connect_ex(("127.0.0.1", port))
    return os.strerror(error) if error else ""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Open to PostgreSQL's account, as pytest's own temp folder is not for root."""
    with tempfile.TemporaryDirectory(prefix="agent-own-", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o711)
        yield Path(place) / "data"


def test_they_are_made_and_ready_means_that_it_answers(folder: Path) -> None:
    with temporal() as address, begun(folder, TEMPORAL_ADDRESS=address, SIMULATOR_PACE="0") as start:
        start.until_said("\nREADY")

        answered = start.say("Hello")
        body = httpx2.get(f"{start.api}/readyz?for=answer").json()

        assert answered.status_code == 200, answered.text
        assert body["missing"] == []
        start.ask_to_stop()
        start.check_it_stopped()


def refused(folder: Path, **settings: str) -> str:
    """The one line with which a start ends by itself."""
    environment = {**os.environ, "DATA_DIR": str(folder), "PORT": str(free_port()), **settings}
    done = subprocess.run([AGENT, "run"], env=environment, capture_output=True, text=True, timeout=START_SECONDS)
    assert done.returncode == 1
    assert "READY" not in done.stdout
    [line] = done.stderr.splitlines()
    return line


@pytest.mark.chaos
def test_what_cannot_be_made_is_named_and_it_is_not_ready(folder: Path) -> None:
    with temporal("--search-attribute", "Channel=Int") as address:
        line = refused(folder, TEMPORAL_ADDRESS=address)

    assert f"temporal operator search-attribute create --address {address} --namespace default --name Channel" in line


@pytest.mark.chaos
def test_a_namespace_that_is_not_there_is_named(folder: Path) -> None:
    with temporal() as address:
        line = refused(folder, TEMPORAL_ADDRESS=address, TEMPORAL_NAMESPACE="nowhere")

    assert "TEMPORAL_NAMESPACE" in line
    assert "nowhere" in line
