"""`agent api` as a process of its own: what older and odd clients send, and how it stops."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from config.settings import Settings
from tests.servers import free_port, wait_for_port
from tests.support.waiting import until_blocking
from tests.system_in_process import KEY, System, running_system

AGENT = Path(sys.executable).with_name("agent")
HELD_UP = Settings.model_fields["stop_seconds"].default
"""What a stop takes that waits for somebody who says nothing."""
HEAD = f"POST /api/message HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"
BODY = b'{"customer_id": "c-1", "message_id": "m-1", "text": "Hello"}'


@dataclass
class FrontDoor:
    process: subprocess.Popen[bytes]
    port: int

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 10)

    def stopped(self, *signals: signal.Signals) -> float:
        """Seconds until it was gone, with exit code 0."""
        began = time.monotonic()
        for number in signals:
            self.process.send_signal(number)
        assert self.process.wait(20) == 0
        return time.monotonic() - began


@pytest.fixture
async def without_temporal(postgres_url: str) -> AsyncIterator[System]:
    """A database to serve from; nobody answers at Temporal's address."""
    async with running_system(postgres_url, f"127.0.0.1:{free_port()}", worker=False, connected=False) as system:
        yield system


@pytest.fixture
def door(without_temporal: System, tmp_path: Path) -> Iterator[FrontDoor]:
    settings = without_temporal.settings
    environment = {
        **os.environ,
        "DATABASE_URL": settings.database_url or "",
        "TEMPORAL_ADDRESS": settings.temporal_address or "",
        "DATA_DIR": str(tmp_path),
        "PORT": str(port := free_port()),
    }
    with (tmp_path / "api.log").open("wb") as log:
        process = subprocess.Popen([AGENT, "api"], env=environment, cwd=tmp_path, stdout=log, stderr=log)
    wait_for_port(port)
    yield FrontDoor(process, port)
    process.kill()
    process.wait(10)


def request(*headers: str) -> bytes:
    return (HEAD + "".join(f"{header}\r\n" for header in (*headers, f"Content-Length: {len(BODY)}"))).encode() + b"\r\n"


def answer_of(client: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    return b"".join(iter(lambda: client.recv(65_536), b""))


def test_half_a_body_does_not_hold_the_stop(door: FrontDoor) -> None:
    with door.connect() as client, door.connect() as half_a_head:
        half_a_head.sendall(request()[:20])
        client.sendall(request("Expect: 100-continue"))
        assert client.recv(100).startswith(b"HTTP/1.1 100")  # it waits for the body
        client.sendall(BODY[:5])

        seconds = door.stopped(signal.SIGTERM)

        answer = answer_of(client)
    assert seconds < HELD_UP
    assert answer == b"" or (answer.startswith(b"HTTP/1.1 503") and b"application/problem+json" in answer), answer


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_twice_it_ends_in_order(door: FrontDoor, number: signal.Signals) -> None:
    assert door.stopped(number, number) < HELD_UP


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler of its own; until then, the kernel ends it."""
    status = Path(f"/proc/{pid}/status").read_text()
    return bool(int(status.split("SigCgt:")[1].split()[0], 16) >> (number - 1) & 1)


@pytest.mark.processes
@pytest.mark.parametrize("pause", [0.0, 0.15, 0.5, 1.0])
def test_asked_while_it_starts_it_ends_in_order(tmp_path: Path, pause: float) -> None:
    settings = {"DATABASE_URL": f"postgresql://x@127.0.0.1:{free_port()}/y", "API_KEY": KEY}
    early = subprocess.Popen([AGENT, "api"], cwd=tmp_path, env={**os.environ, **settings}, stdout=subprocess.DEVNULL)
    until_blocking("a handler of its own", lambda: catches(early.pid, signal.SIGTERM), bool)
    time.sleep(pause)  # each moment of the start is one to be asked at

    early.send_signal(signal.SIGTERM)

    assert early.wait(10) == 0


def test_a_front_door_that_never_met_temporal_says_503(door: FrontDoor) -> None:
    with httpx2.Client(base_url=f"http://127.0.0.1:{door.port}", timeout=30) as http:
        http.headers["Authorization"] = f"Bearer {KEY}"
        body = {"customer_id": "c-1", "text": "Hello", "message_id": "m-1"}
        message = http.post("/api/message", json=body)
        reset = http.post("/api/session/c-1/reset", json={})
        session = http.get("/api/session/c-1")
        stream = http.post("/api/query_async", json=body)
        ready = http.get("/readyz")

    assert message.status_code == 503, message.text
    assert int(message.headers["Retry-After"]) > 0
    assert reset.status_code == 200, "it takes effect in the database, and the workflow is told once it can be"
    assert session.json()["run_id"] is None
    assert "event: error" in stream.text
    assert '"status":503' in stream.text.replace(" ", "")
    assert ready.status_code == 503
    assert ready.json()["can_store"] is True
