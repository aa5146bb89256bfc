"""Where `agent` begins: before anything of ours is loaded, an asked end is already an end with exit code 0.

The commands that serve put their own handlers in the place of this one as soon as they can stop in order.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

_SERVING = {"run", "api", "worker", "simulator", "standin"}
"""Only of these can be said that nothing was left undone."""


def main() -> None:
    """The command that the arguments name."""
    if _SERVING & set(sys.argv[1:2]):
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _end)
    from cli.main import app

    app()


def _end(_number: int, _frame: FrameType | None) -> None:
    os._exit(0)
