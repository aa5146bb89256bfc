"""How long `agent run` takes until READY, on a new folder and on one with data, and what each part holds in memory."""

from __future__ import annotations

import time

import psutil

from bench.comparison import Comparison, Figure, Round
from tests.system.running import Program

_MEGABYTE = 1_000_000


def timed_start(subject: Program) -> float:
    """Seconds until READY."""
    begin = time.perf_counter()
    subject.start()
    return time.perf_counter() - begin


def second_starts(subject: Program, first: float, times: int) -> Comparison:
    """Stops and starts the running program; *first* is what its first start took."""
    again = Comparison(
        "second start", "`agent run` to READY, data there", "its first start, on an empty folder", "≤ 1 ×"
    )
    for _ in range(times):
        subject.stop()
        again.rounds.append(Round([timed_start(subject)], [first]))
    return again


def memory(subject: Program) -> list[Figure]:
    """Memory of each part's process with its children (PostgreSQL has many)."""
    return [
        Figure(f"{name}, resident", sum(_resident(pid)) / _MEGABYTE, "MB")
        for name, pid in subject.addresses["pids"].items()
    ]


def _resident(pid: int) -> list[int]:
    """Bytes; on Linux each page's share, so that shared ones count once in the sum."""
    process = psutil.Process(pid)
    sizes = []
    for one in [process, *process.children(recursive=True)]:
        full = one.memory_full_info()
        sizes.append(int(getattr(full, "pss", full.rss)))
    return sizes
