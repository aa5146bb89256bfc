"""How every `agent …` ends: at once where it is told to before its command has begun, else as its command says."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import NoReturn

_LASTING = {"run", "api", "worker", "simulator", "standin"}
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def end_when_asked() -> None:
    """For the commands that last; called before anything else of ours is imported. An asked end is exit code 0."""
    if sys.argv[1:2] and sys.argv[1] in _LASTING:
        for number in _SIGNALS:
            signal.signal(number, _end)


def leave(code: object) -> NoReturn:
    """Ends the process with *code*, a `SystemExit`'s, once all of ours is closed and written.

    Python's own end waits for threads of Temporal's SDK, which may wait for a server, and those that come back to
    Python meanwhile abort it (`PyGILState_Release`): a command that had done its work ended with SIGABRT.
    """
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # told again while it ends: it ends
    if isinstance(code, str):
        print(code, file=sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody may be left to read it
            stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def _end(_number: int, _frame: FrameType | None) -> None:
    if sys.argv[1] == "run":
        os.write(1, b"Stopped.\n")
    os._exit(0)
