"""The real program, started as a user starts it: `agent run` with a data folder and ports of its own.

Imports nothing of ours. What it knows is in the contract: command lines, addresses.json, the HTTP API.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psutil

from tests.ports import free_port
from tests.support.waiting import LONGEST_SECONDS, START_SECONDS, until_blocking

AGENT = Path(sys.executable).parent / "agent"
KEY = "system-test-key-0123456789"
_PATIENCE_SECONDS = 10.0
PARTS = {
    "api": "agent api",
    "worker": "agent worker",
    "temporal": "temporal server start-dev",
    "postgres": "postgres -D",
    "simulator": "agent simulator",
    "standin": "agent standin",
}


@dataclass
class Program:
    """One data folder; it may be started and stopped many times."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    faults: int = 0
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns once READY is printed."""
        environment = {**os.environ, **self._environment(), **self.settings}
        output = self.folder.with_suffix(".out")
        with output.open("ab") as sink:
            begin = sink.tell()
            command = [AGENT, "run"]
            self._process = subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT, env=environment)
        until_blocking(
            "a line that begins with READY",
            lambda: self._said(output, begin),
            lambda said: any(line.startswith("READY") for line in said.splitlines()),
            seconds=START_SECONDS,
        )

    def stop(self) -> None:
        """SIGTERM, and waits until every part is gone."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            assert until_blocking("the program's end after SIGTERM", self._end, lambda end: end[0] is not None)[0] == 0

    def _end(self) -> tuple[int | None, str]:
        """The exit code, None while it runs, and the last that it said."""
        assert self._process
        return self._process.poll(), self.folder.with_suffix(".out").read_text(errors="replace")[-1_000:]

    def kill(self, part: str) -> None:
        """SIGKILL for one part, postmaster and children alike; counts as a fault once the process is gone."""
        victim = self.part(part)
        victim.kill()
        psutil.wait_procs([victim], 10)
        assert not victim.is_running() or victim.status() == psutil.STATUS_ZOMBIE
        self.faults += 1

    def part(self, name: str) -> psutil.Process:
        assert self._process
        for child in psutil.Process(self._process.pid).children():
            if PARTS[name] in " ".join(child.cmdline()):
                return child
        raise LookupError(f"no process of {name} runs")

    def until_back(self, name: str) -> None:
        """Returns once the program works again after *name* was killed."""
        until_blocking(
            f"a running {name} and a program that is ready",
            lambda: (_runs(self, name), readiness(self)),
            lambda seen: seen == (True, "200"),
        )

    @property
    def addresses(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "addresses.json").read_text()))

    def http(self, timeout: float = LONGEST_SECONDS) -> httpx2.Client:
        headers = {"Authorization": f"Bearer {KEY}"}
        return httpx2.Client(base_url=self.addresses["api"], headers=headers, timeout=timeout)

    def say(
        self, text: str, message_id: str, customer: str = "c-1", timeout: float = LONGEST_SECONDS
    ) -> httpx2.Response:
        with self.http(timeout) as http:
            return http.post("/api/message", json={"customer_id": customer, "text": text, "message_id": message_id})

    def insist(
        self, text: str, message_id: str, customer: str = "c-1", seconds: float = LONGEST_SECONDS
    ) -> dict[str, Any]:
        """Repeats the message every ten seconds, as a client of the contract does, until it is answered; the Turn."""
        deadline = time.monotonic() + seconds

        def answer() -> tuple[int, dict[str, Any]]:
            left = max(1.0, min(_PATIENCE_SECONDS, deadline - time.monotonic()))
            try:
                response = self.say(text, message_id, customer, left)
            except (httpx2.TransportError, FileNotFoundError) as error:  # it stops, or has not started yet
                return 0, {"error": repr(error)}
            assert response.status_code in {200, 503}, response.text
            return response.status_code, dict(response.json())

        what = f"an answer to {message_id} of {customer}"
        return until_blocking(what, answer, lambda seen: seen[0] == 200, seconds=seconds)[1]

    def turns(self, customer: str = "c-1") -> list[dict[str, Any]]:
        """Oldest first."""
        with self.http() as http:
            return list(reversed(http.get(f"/api/session/{customer}/turns?limit=200").json()))

    def questions(self) -> list[dict[str, Any]]:
        """What the simulator was asked, oldest first."""
        answer = httpx2.get(f"{self.addresses['perplexity']}/simulator/questions").json()
        return list(answer["questions"] if isinstance(answer, dict) else answer)

    def _environment(self) -> dict[str, str]:
        ports = {name: str(free_port()) for name in ("PORT", "TEMPORAL_PORT", "TEMPORAL_UI_PORT")}
        return {
            **ports,
            "DATA_DIR": str(self.folder),
            "API_KEY": KEY,
            "SIMULATOR_PACE": "0.1",
            "TURN_HEARTBEAT_SECONDS": "2",
            "SWEEP_EVERY_SECONDS": "5",
            "SWEEP_AFTER_SECONDS": "5",
        }

    def _said(self, output: Path, begin: int) -> str:
        assert self._process
        said = output.read_bytes()[begin:].decode(errors="replace")
        assert self._process.poll() is None, said[-3_000:]
        return said


def running(folder: Path, **settings: str) -> Iterator[Program]:
    """For fixtures: a started program, stopped at the end."""
    program = Program(folder, settings)
    program.start()
    try:
        yield program
    finally:
        program.stop()


def refused(folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """A start that ends by itself."""
    ports = {name: str(free_port()) for name in ("PORT", "TEMPORAL_PORT", "TEMPORAL_UI_PORT")}
    environment = {**os.environ, **ports, "DATA_DIR": str(folder), **settings}
    return subprocess.run([AGENT, "run"], env=environment, capture_output=True, text=True, timeout=START_SECONDS)


def command(program: Program, *words: str | Path, answer: str = "") -> subprocess.CompletedProcess[str]:
    """`agent …` beside a running program, which it finds by its data folder; *answer* is its standard input."""
    environment = {**os.environ, "DATA_DIR": str(program.folder)}
    return subprocess.run(
        [AGENT, *words], input=answer, env=environment, capture_output=True, text=True, timeout=LONGEST_SECONDS
    )


def check_one_line(done: subprocess.CompletedProcess[str], *words: str, code: int = 1) -> None:
    assert done.returncode == code
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert all(word in done.stderr for word in words), done.stderr


def alive(pids: dict[str, int]) -> list[str]:
    """Which of these parts still run."""
    return [name for name, pid in pids.items() if psutil.pid_exists(pid)]


def _runs(program: Program, name: str) -> bool:
    try:
        return program.part(name).is_running()
    except (LookupError, psutil.NoSuchProcess):
        return False


def readiness(program: Program) -> str:
    """ "200", or what stands in its way."""
    try:
        response = httpx2.get(f"{program.addresses['api']}/readyz", timeout=5)
    except (httpx2.TransportError, FileNotFoundError) as error:
        return repr(error)
    return "200" if response.status_code == 200 else f"{response.status_code} {response.text}"
