"""What a signal means until the command has handlers of its own: nothing was begun, and an asked end is exit code 0."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from types import FrameType

_LASTING = {"run", "api", "worker", "simulator", "standin"}
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def end_when_asked() -> None:
    """For the commands that last; called before anything else of ours is imported."""
    if sys.argv[1:2] and sys.argv[1] in _LASTING:
        for number in _SIGNALS:
            signal.signal(number, _end)
        atexit.register(_hear_no_more)  # asked again while it ends: it ends


def _end(_number: int, _frame: FrameType | None) -> None:
    if sys.argv[1] == "run":
        os.write(1, b"Stopped.\n")
    os._exit(0)


def _hear_no_more() -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
