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
_LEAVES_NOTHING = {"doctor", "migrate"}
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_ASKED_BY_CTRL_C = 130


def end_when_asked() -> None:
    """Called before anything else of ours is imported. An asked end of a command that lasts is exit code 0; Ctrl-C
    ends any other with 130, and no library says in which of its lines."""
    if _command() not in _LASTING:
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # a shell's `&`: Ctrl-C is for another
            signal.signal(signal.SIGINT, _end)
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    if _command() == "run" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _end)


def begin() -> None:
    """All is imported: a command that has something to put right hears of Ctrl-C by KeyboardInterrupt from here on."""
    if _command() not in _LASTING | _LEAVES_NOTHING and signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _command() -> str:
    return sys.argv[1] if len(sys.argv) > 1 else ""


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
    if _command() == "run":
        with suppress(OSError):  # nobody may be left to read it
            os.write(1, b"Stopped.\n")
    os._exit(0 if _command() in _LASTING else _ASKED_BY_CTRL_C)
