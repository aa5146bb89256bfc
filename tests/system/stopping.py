"""A start that is told to stop, at any moment, as a terminal or a service manager does it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import psutil

from tests.system.running import AGENT, KEY, free_port

WHOLE_SECONDS = 10.0
"""From the signal until all is gone, by the defaults of `make run`."""


@dataclass
class Start:
    """`agent run` in a process group of its own, as a terminal's foreground; its output so far."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ports = {name: str(free_port()) for name in ("PORT", "TEMPORAL_PORT", "TEMPORAL_UI_PORT")}
        environment = {**os.environ, **ports, "DATA_DIR": str(self.folder), "API_KEY": KEY, **self.settings}
        self.output = self.folder.with_suffix(".out")
        self.api = f"http://127.0.0.1:{ports['PORT']}"
        with self.output.open("wb") as sink:
            command = [AGENT, "run"]
            self.process = subprocess.Popen(
                command, stdout=sink, stderr=subprocess.STDOUT, env=environment, start_new_session=True
            )

    def until_said(self, words: str, seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while words not in self.said():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, f"{words!r} not said within {seconds} s, but {self.said()}"
            time.sleep(0.01)

    def said(self) -> str:
        return self.output.read_text()

    def say(self, text: str) -> httpx2.Response:
        body = {"customer_id": "c-1", "message_id": "m-1", "text": text}
        headers = {"Authorization": f"Bearer {KEY}"}
        return httpx2.post(f"{self.api}/api/message", json=body, headers=headers, timeout=60)

    def ask_to_stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """To the whole group, as Ctrl-C does."""
        os.killpg(self.process.pid, number)

    def check_it_stopped(self, seconds: float = WHOLE_SECONDS) -> None:
        """In order, in time, with nothing left."""
        began = time.monotonic()
        code = self.process.wait(60)
        took = time.monotonic() - began
        lines = self.said().splitlines()
        assert code == 0, self.said()
        assert lines[-1].startswith("Stopped."), self.said()
        assert "Traceback" not in self.said()
        assert took < seconds, f"took {took:.1f} s"
        assert left_of(self.folder) == []
        assert not list(self.folder.glob("*.unfinished"))


@contextmanager
def begun(folder: Path, **settings: str) -> Iterator[Start]:
    """A start; what a failed test leaves of it is killed."""
    start = Start(folder, settings)
    try:
        yield start
    finally:
        if start.process.poll() is None:
            start.process.kill()
            start.process.wait()


def left_of(folder: Path) -> list[str]:
    """Command lines of processes that still work on *folder*."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or ())
        if str(folder) in line and process.status() != psutil.STATUS_ZOMBIE:
            found.append(line)
    return found


def read_stream(api: str, text: str, into: list[str]) -> None:
    """Posts *text* to `query_async`; each line that comes goes *into*."""
    body = {"customer_id": "c-1", "message_id": "m-1", "text": text}
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx2.stream("POST", f"{api}/api/query_async", json=body, headers=headers, timeout=60) as response:
        into.extend(response.iter_lines())
