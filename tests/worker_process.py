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

from tests.system_in_process import System

AGENT = Path(sys.executable).parent / "agent"
GRACE_SECONDS = 1.0
_SAYS_SECONDS = 30.0


@dataclass
class WorkerProcess:
    process: asyncio.subprocess.Process
    log: Path

    async def until_said(self, word: str) -> None:
        """Returns once *word* stands in its log."""
        deadline = time.monotonic() + _SAYS_SECONDS
        while word not in (said := self.log.read_text()):
            assert self.process.returncode is None, said
            assert time.monotonic() < deadline, f"{word} was not said in {_SAYS_SECONDS} s, but: {said[-2_000:]}"
            await asyncio.sleep(0.02)

    async def until_it_hears(self, number: signal.Signals) -> None:
        """Returns at the earliest moment at which *number* does not kill it (man 5 proc_pid_status, SigCgt)."""
        deadline = time.monotonic() + _SAYS_SECONDS
        while not _is_caught(self.process.pid, number):
            assert time.monotonic() < deadline, f"{number.name} was not listened to in {_SAYS_SECONDS} s"
            await asyncio.sleep(0.001)

    async def stopped(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Its exit code, and how many seconds it took to end after it was told to."""
        begun = time.monotonic()
        self.process.send_signal(number)
        code = await asyncio.wait_for(self.process.wait(), 30)
        return code, time.monotonic() - begun


def _is_caught(pid: int, number: signal.Signals) -> bool:
    (caught,) = re.findall(r"SigCgt:\s+(\w+)", Path(f"/proc/{pid}/status").read_text())
    return bool(int(caught, 16) >> (number - 1) & 1)


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
                await process.wait()
