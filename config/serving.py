"""How each process of ours serves HTTP: what reads the requests, and how it is told to stop."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any
from urllib.parse import unquote

import uvicorn

HTTP = "h11"
"""It ignores an upgrade that nobody asked for and reads the body behind it, strips blanks behind header values, and
frames answers for HTTP/1.0 as those clients expect; httptools does none of it. Its cost: bench/README.md."""


Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Any, Receive, Send], Awaitable[None]]

_ABSOLUTE = re.compile(rb"https?://([^/?#]+)(/.*)?", re.IGNORECASE | re.DOTALL)


def server_config(app: App, **options: Any) -> uvicorn.Config:
    """uvicorn's configuration for *app* with what all our servers share."""
    shared = {"http": HTTP, "ws": "none", "log_config": None, "access_log": False, "server_header": False}
    shared |= {"proxy_headers": False}  # it would believe whoever calls from this machine; TRUSTED_PROXIES says whom
    return uvicorn.Config(taking_absolute_targets(app), **{**shared, **options})


def taking_absolute_targets(app: App) -> App:
    """*app*, for requests like `GET http://host/readyz` too: a server has to take that form, and its host counts in
    place of the header's (RFC 9112, 3.2.2). h11 hands the target on as it is."""

    async def with_origin_form(scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (target := _ABSOLUTE.fullmatch(scope.get("raw_path") or b"")):
            path = target[2] or b"/"
            headers = [(b"host", target[1]), *(each for each in scope["headers"] if each[0] != b"host")]
            scope = {**scope, "raw_path": path, "path": unquote(path.decode("ascii")), "headers": headers}
        await app(scope, receive, send)

    return with_origin_form


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
