"""Standard input, output and error that whoever started us has closed: they lead nowhere from here on.

Else the next file that is opened gets such a number, and what is meant for the user is written into it; Python has None
for a stream that was closed, which no code that prints expects.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress


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
