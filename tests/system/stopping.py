"""A start that is told to stop, at any moment, as a terminal or a service manager does it."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import psutil

from tests.ports import free_port
from tests.support.waiting import LONGEST_SECONDS, START_SECONDS, until_blocking
from tests.system.running import AGENT, KEY

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

    def until_said(self, words: str, seconds: float = START_SECONDS) -> None:
        what = f"{words!r} in what it says"
        _, said = until_blocking(
            what, self._seen, lambda seen: words in seen[1] or seen[0] is not None, seconds=seconds
        )
        assert words in said, said

    def said(self) -> str:
        return self.output.read_text()

    def _seen(self) -> tuple[int | None, str]:
        """The exit code, None while it runs, and its output."""
        return self.process.poll(), self.said()

    def say(self, text: str) -> httpx2.Response:
        body = {"customer_id": "c-1", "message_id": "m-1", "text": text}
        headers = {"Authorization": f"Bearer {KEY}"}
        return httpx2.post(f"{self.api}/api/message", json=body, headers=headers, timeout=LONGEST_SECONDS)

    def until_child(self, words: str, pause: float = 0.0) -> psutil.Process:
        """The child whose command line has *words*, *pause* seconds after it came."""
        found = until_blocking(f"a child {words!r}", lambda: self._child(words), seconds=START_SECONDS)
        threading.Event().wait(pause)
        assert found
        return found

    def _child(self, words: str) -> psutil.Process | None:
        for child in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if words in " ".join(child.cmdline()):
                    return child
        return None

    def ask_to_stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """To the whole group, as Ctrl-C does."""
        os.killpg(self.process.pid, number)

    def check_it_stopped(self, seconds: float = WHOLE_SECONDS) -> None:
        """In order, in time, with nothing left."""
        began = time.monotonic()
        code, said = until_blocking("its end", self._seen, lambda seen: seen[0] is not None)
        took = time.monotonic() - began
        assert code == 0, said
        assert said.splitlines()[-1].startswith("Stopped."), said
        assert "Traceback" not in said
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
            start.process.wait(10)


def left_of(folder: Path) -> list[str]:
    """Command lines of processes that still work on *folder*, or in it."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd", "status"]):
        line = " ".join(process.info["cmdline"] or ())
        place = f"{line} {process.info['cwd']}"
        if str(folder) in place and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(line)
    return found


def read_stream(api: str, text: str, into: list[str]) -> None:
    """Posts *text* to `query_async`; each line that comes goes *into*."""
    body = {"customer_id": "c-1", "message_id": "m-1", "text": text}
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx2.stream(
        "POST", f"{api}/api/query_async", json=body, headers=headers, timeout=LONGEST_SECONDS
    ) as response:
        into.extend(response.iter_lines())
