"""`agent worker` as a process of its own, beside a system in the test's process."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.waiting import until, within
from tests.system_in_process import System

AGENT = Path(sys.executable).parent / "agent"
GRACE_SECONDS = 1.0


@dataclass
class WorkerProcess:
    process: asyncio.subprocess.Process
    log: Path

    async def until_said(self, word: str) -> None:
        """Returns once *word* is in its log."""
        _, said = await until(
            f"{word!r} in a worker's log",
            lambda: (self.process.returncode, self.said()),
            lambda seen: word in seen[1] or seen[0] is not None,
        )
        assert word in said, said

    def said(self) -> str:
        return self.log.read_text()

    async def until_it_hears(self, number: signal.Signals) -> None:
        """Returns as soon as *number* is seen not to kill it any more (man 5 proc_pid_status, SigCgt)."""
        await until(
            f"a worker that catches {number.name}",
            lambda: _caught(self.process.pid),
            lambda caught: caught >> (number - 1) & 1,
        )

    async def stopped(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Its exit code, and how many seconds it took to end after it was told to."""
        begun = time.monotonic()
        self.process.send_signal(number)
        code = await within(f"a worker's end after {number.name}", self.process.wait(), self.said)
        return code, time.monotonic() - begun


def _caught(pid: int) -> int:
    """The mask of the signals that are caught."""
    (caught,) = re.findall(r"SigCgt:\s+(\w+)", Path(f"/proc/{pid}/status").read_text())
    return int(caught, 16)


@asynccontextmanager
async def worker_process(system: System, **settings: str) -> AsyncIterator[WorkerProcess]:
    """Started, for the same database and task queue; killed if it still runs at the end."""
    own = {
        "DATABASE_URL": system.settings.database_url or "",
        "TEMPORAL_ADDRESS": system.settings.temporal_address or "",
        "TEMPORAL_TASK_QUEUE": system.settings.temporal_task_queue,
        "PERPLEXITY_BASE_URL": "http://127.0.0.1:9",
        "WORKER_SHUTDOWN_SECONDS": str(GRACE_SECONDS),
        "LOG_FORMAT": "json",
        "QUIET_SECONDS": "0",
    }
    with tempfile.TemporaryDirectory(prefix="agent-worker-") as folder:
        log = Path(folder) / "worker.log"
        with log.open("wb") as sink:
            process = await asyncio.create_subprocess_exec(
                AGENT, "worker", cwd=folder, env={**os.environ, **own, **settings}, stdout=sink, stderr=sink
            )
        try:
            yield WorkerProcess(process, log)
        finally:
            if process.returncode is None:
                process.kill()
                await within("the end of a worker that was killed", process.wait(), log.read_text)
