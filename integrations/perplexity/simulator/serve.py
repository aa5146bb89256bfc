"""Runs the simulator on 127.0.0.1: as a process of its own (`main`), or inside a test (`running`)."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config.serving import HttpServer, server_config
from integrations.perplexity.simulator.app import create_app
from integrations.perplexity.simulator.playing import SERVER

HOST = "127.0.0.1"
_GRACE_SECONDS = 1
_STOP_SECONDS = 10.0

log = logging.getLogger("simulator")


def main(port: int, state_folder: Path, pace: float) -> None:
    """Serves until SIGTERM or Ctrl-C. *pace* 1 is as recorded (first text after 3.8 s), 0 answers at once."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    log.info("SIMULATOR of the Perplexity wrapper at http://%s:%s: scripted answers, no model", HOST, port)
    _server(state_folder, pace, port).run()


@contextmanager
def running(state_folder: Path, pace: float = 0.0, port: int = 0) -> Iterator[str]:
    """A simulator in a thread of this process; gives its address. It is reachable at once: the socket listens first."""
    listener = socket.create_server((HOST, port), backlog=1_000)
    server = _server(state_folder, pace, port)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True, name="simulator")
    thread.start()
    try:
        yield f"http://{HOST}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(_STOP_SECONDS)


def _server(state_folder: Path, pace: float, port: int) -> HttpServer:
    config = server_config(  # on h11, as the real wrapper, limits included
        create_app(state_folder, pace),
        host=HOST,
        port=port,
        lifespan="off",
        headers=[("x-served-by", SERVER)],
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    return HttpServer(config)
