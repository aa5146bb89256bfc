"""Ports for the servers of tests, from below those that the kernel hands out by itself.

One of the kernel's own could be handed out a second time, to a connection or to another server's inner listener,
between the look and the start (Temporal's dev server ends with a panic then). Imports nothing of ours.
"""

from __future__ import annotations

import random
import socket

_LOWEST, _HIGHEST = 15_000, 32_000  # Linux hands out 32768 and above (ip_local_port_range), macOS 49152
_next = random.SystemRandom().randrange(_LOWEST, _HIGHEST)  # test runs beside this one begin elsewhere


def free_port() -> int:
    """A port of 127.0.0.1 where nothing listens; not the same twice."""
    global _next
    while True:
        _next = _next + 1 if _next < _HIGHEST else _LOWEST
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", _next))
            except OSError:
                continue
            return _next
