"""A server that sends one byte now and then, for ever: no read of its callers is ever too slow."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

_PAUSE_SECONDS = 0.2


@contextmanager
def dripping_server() -> Iterator[int]:
    """Its port."""
    ended = threading.Event()
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def drip(caller: socket.socket) -> None:
            with caller:
                while not ended.wait(_PAUSE_SECONDS):
                    try:
                        caller.sendall(b"x")
                    except OSError:
                        return

        def accept() -> None:
            while True:
                try:
                    caller, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=drip, args=(caller,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            ended.set()
            listener.shutdown(socket.SHUT_RDWR)
