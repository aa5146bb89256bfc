"""How each process of ours serves HTTP: what reads the requests, and how it is told to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn

HTTP = "h11"
"""It ignores an upgrade that nobody asked for and reads the body behind it, strips blanks behind header values, and
frames answers for HTTP/1.0 as those clients expect; httptools does none of it. Its cost: bench/README.md."""


def server_config(app: Any, **options: Any) -> uvicorn.Config:
    """uvicorn's configuration for *app* with what all our servers share."""
    shared = {"http": HTTP, "ws": "none", "log_config": None, "access_log": False, "server_header": False}
    return uvicorn.Config(app, **{**shared, **options})


class HttpServer(uvicorn.Server):
    """uvicorn, whose asked end is exit code 0, however often it is asked.

    uvicorn itself gives the handlers back and raises the signal again: the process then dies by it.
    """

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self.handle_exit)  # until the process is gone
        yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.should_exit = True
