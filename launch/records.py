"""`DATA_DIR/processes.json`: which processes are the parts of a run, so that the next one, and every command, can tell
whether they still are. A pid alone says nothing, for it is given to others; it counts with the time it began at, and
that is told from the machine's start on, as nobody sets that clock."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from config.settings import Settings
from launch.files import read_json, write_json
from launch.processes import end_orphans

_BOOT = "boot"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_SAME_START_SECONDS = 1.0


def write_record(path: Path, pids: Iterable[int]) -> None:
    """Raises OSError."""
    write_json(path, {_BOOT: _boot(), **{str(pid): _began(pid) for pid in pids}})


def kill_orphaned_parts(processes: Path, settings: Settings, stop_asked: Callable[[], bool] = lambda: False) -> None:
    """Ends what a killed launcher left running, by its record; by force after STOP_SECONDS, or once *stop_asked*."""
    end_orphans(_recorded(processes), signal.SIGTERM, settings.stop_seconds, settings.killed_seconds, stop_asked)


def is_running(processes: Path) -> bool:
    """Whether any part of that record runs."""
    return any(_lives(each) for each in _recorded(processes))


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def _recorded(processes: Path) -> list[psutil.Process]:
    """Those of its record that are still there."""
    record = read_json(processes)
    if record.pop(_BOOT, None) != _boot():
        return []
    found = []
    for pid, began in record.items():
        known = pid.isdecimal() and isinstance(began, int | float)
        if known and abs(_began(int(pid)) - began) < _SAME_START_SECONDS:
            with suppress(psutil.NoSuchProcess):
                found.append(psutil.Process(int(pid)))
    return found


def _began(pid: int) -> float:
    """Seconds after the machine's start; below zero if there is no such process."""
    try:
        return psutil.Process(pid).create_time() - psutil.boot_time()
    except psutil.NoSuchProcess:
        return -psutil.boot_time()


def _boot() -> str:
    """Which of the machine's starts this is: after another one, pids and seconds may well be the same."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""
