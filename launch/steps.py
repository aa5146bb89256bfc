"""Programs that run once during the start (`initdb`, `agent migrate`), and end at once when the user asks to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from launch.failures import StopRequested
from launch.os_user import OsUser
from launch.processes import spawn

_LOOK_SECONDS = 0.02
_END_SECONDS = 2.0


@dataclass(frozen=True)
class Done:
    """*said*: both outputs, as they came; its log has them, too."""

    code: int
    said: str


def run_step(
    command: Sequence[str | Path],
    *,
    log: Path,
    seconds: float,
    stop_asked: Callable[[], bool],
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    os_user: OsUser | None = None,
) -> Done:
    """Runs *command* in a session of its own, out of Ctrl-C's reach; *log* holds what it says, and nothing older.

    Raises StopRequested, or TimeoutError after *seconds*; nothing of it runs any more then.
    """
    log.unlink(missing_ok=True)
    words = [str(part) for part in command]
    surroundings = os.environ if environment is None else environment
    process = spawn(words, log=log, environment=surroundings, folder=folder, os_user=os_user)
    try:
        code = _watched(process, seconds, stop_asked)
    except BaseException:
        _end_session(process)
        raise
    return Done(code, log.read_text(encoding="utf-8", errors="replace"))


def _watched(process: subprocess.Popen[bytes], seconds: float, stop_asked: Callable[[], bool]) -> int:
    deadline = time.monotonic() + seconds
    while (code := process.poll()) is None:
        if stop_asked():
            raise StopRequested
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(_LOOK_SECONDS)
    return code


def _end_session(process: subprocess.Popen[bytes]) -> None:
    """Ends it with the children that it started: by SIGTERM, then by force."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_END_SECONDS)
