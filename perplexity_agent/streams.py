"""Standard input, output and error that whoever started us has closed: they lead nowhere from here on.

Else the next file that is opened gets such a number, and what is meant for the user is written into it; Python has None
for a stream that was closed, which no code that prints expects.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


def open_what_is_closed() -> None:
    """Called before anything else: nothing of ours is open yet."""
    for number in (0, 1, 2):
        with suppress(OSError):
            os.fstat(number)
            continue
        nowhere = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
        os.set_inheritable(nowhere, True)
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False, encoding="utf-8")
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False, encoding="utf-8")
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False, encoding="utf-8")


@contextmanager
def stopped_by_full_output() -> Iterator[None]:
    """Ends the program in one line where its block fails because standard output takes no more: no defect of ours."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or (lost := unwritten("\n")) is None:
            raise
        sys.exit(why_unwritten(lost) or 1)


def unwritten(more: str = "") -> OSError | None:
    """Why something that was meant for standard output, or *more* now, is not out; None if all is."""
    with suppress(ValueError):  # closed meanwhile
        try:
            print(more, end="", flush=True)
        except OSError as error:
            return error
    return None


def why_unwritten(error: OSError) -> str:
    """A line for the user; none where who read the output has read enough."""
    command = " ".join(["agent", *sys.argv[1:2]])
    told = f"{command}: the output could not be written: {error.strerror}"
    return "" if isinstance(error, BrokenPipeError) else told
