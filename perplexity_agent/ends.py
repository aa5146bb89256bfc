"""How every `agent …` ends: at once where it is told to before its command has begun, else as its command says."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from perplexity_agent.streams import unwritten, why_unwritten

_LASTING = {"run", "api", "worker", "simulator", "standin"}
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def end_when_asked() -> None:
    """For the commands that last; called before anything else of ours is imported. An asked end is exit code 0."""
    if sys.argv[1:2] and sys.argv[1] in _LASTING:
        for number in _SIGNALS:
            signal.signal(number, _end)


def leave(code: object) -> NoReturn:
    """Ends the process with *code*, a `SystemExit`'s, once all of ours is closed and written.

    What it wrote and could not be written makes it a failure, told in one line.

    Python's own end waits for threads of Temporal's SDK, which may wait for a server, and those that come back to
    Python meanwhile abort it (`PyGILState_Release`): a command that had done its work ended with SIGABRT.
    """
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)  # told again while it ends: it ends
    number = code if isinstance(code, int) else int(code is not None)
    words = code if isinstance(code, str) else ""
    if (error := unwritten()) is not None:
        number, words = number or 1, words or why_unwritten(error)
    with suppress(OSError, ValueError):  # nobody may be left to read it
        print(words, end="\n" if words else "", file=sys.stderr, flush=True)
    os._exit(number)


def _end(_number: int, _frame: FrameType | None) -> None:
    if sys.argv[1] == "run":
        with suppress(OSError):
            os.write(1, b"Stopped.\n")
    os._exit(0)
