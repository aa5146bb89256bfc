"""Child processes that cannot outlive us, and the ends of those that did.

On Linux the kernel sends a child its death signal when the thread that started it ends (man 2 prctl,
PR_SET_PDEATHSIG), so a supervisor killed with -9 leaves nothing behind. Elsewhere the next start clears up.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import psutil

from launch.os_user import OsUser

_LOOK_SECONDS = 0.05
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def spawn(
    command: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str],
    folder: Path | None = None,
    os_user: OsUser | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
) -> subprocess.Popen[bytes]:
    """Starts *command*; what it says is appended to *log*.

    It has a session of its own, so Ctrl-C reaches us alone, and we say when each part stops. Raises OSError.
    """
    with log.open("ab") as output, warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        # Python 3.12 and later warn of code between fork and exec when there are threads: ours takes no lock.
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd=folder,
            start_new_session=True,
            umask=0o077,
            user=os_user.uid if os_user else None,
            group=os_user.gid if os_user else None,
            extra_groups=[] if os_user else None,
            preexec_fn=_dies_with(os.getpid(), death_signal),
        )


def end(process: subprocess.Popen[bytes], number: signal.Signals, seconds: float) -> bool:
    """Asks by *number*, after *seconds* forces. False if it had to be forced."""
    if process.poll() is None:
        process.send_signal(number)
    return _ended(process, seconds)


def _ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
    return True


def end_together(processes: Sequence[tuple[subprocess.Popen[bytes], signal.Signals]], seconds: float) -> None:
    """Asks all, each by its number; *seconds* later it forces those that are still there."""
    for process, number in processes:
        if process.poll() is None:
            process.send_signal(number)
    deadline = time.monotonic() + seconds
    for process, _ in processes:
        _ended(process, max(0.0, deadline - time.monotonic()))


def end_orphans(
    processes: Iterable[psutil.Process],
    number: signal.Signals,
    seconds: float,
    killed_seconds: float,
    stop_asked: Callable[[], bool] = lambda: False,
) -> None:
    """Ends what an earlier start left, no children of ours: by *number*; by force after *seconds*, or *stop_asked*.

    What was killed is gone at once, unless the system itself holds it: it is waited for *killed_seconds*.
    """
    waiting = list(processes)
    for orphan in waiting:
        _send(orphan, number)
    stubborn = _left_of(waiting, seconds, stop_asked)
    for orphan in stubborn:
        _send(orphan, signal.SIGKILL)
    _left_of(stubborn, killed_seconds, lambda: False)


def how_it_ended(code: int) -> str:
    """A return code as text: `exit code 1`, `SIGKILL`."""
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


def _left_of(processes: list[psutil.Process], seconds: float, stop_asked: Callable[[], bool]) -> list[psutil.Process]:
    """Those that still run after *seconds*, or once *stop_asked*."""
    deadline = time.monotonic() + seconds
    while (left := [each for each in processes if _runs(each)]) and not stop_asked() and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
    return left


def _runs(orphan: psutil.Process) -> bool:
    """One that has ended may stay a zombie for long: whose child it is now looks after it, and not we."""
    try:
        return orphan.is_running() and orphan.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _send(orphan: psutil.Process, number: signal.Signals) -> None:
    try:
        orphan.send_signal(number)
    except psutil.NoSuchProcess:
        return


def _dies_with(parent: int, number: signal.Signals) -> Callable[[], None] | None:
    libc = _LIBC
    if libc is None:
        return None

    def set_death_signal() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)

    return set_death_signal
