"""Which ports the parts listen on. Two launchers on one machine, even started at once, never choose the same."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from config.settings import Settings
from launch.failures import LaunchError

_LOCAL = "127.0.0.1"
_SIMULATOR_PORT = 8090
_WHATSAPP_PORT = 8190
_TRIES = 200
"""How many ports after a default one are tried."""


@dataclass(frozen=True)
class Ports:
    api: int
    temporal: int
    temporal_ui: int
    simulator: int
    whatsapp: int


@contextmanager
def claimed_ports(settings: Settings) -> Iterator[Ports]:
    """The ports of this run, kept from other launchers until the block ends.

    A default that is taken gives way to the next free one. Raises LaunchError for a taken one that the user set.
    """
    wanted = {
        "port": (settings.host, settings.port),
        "temporal_port": (_LOCAL, settings.temporal_port),
        "temporal_ui_port": (_LOCAL, settings.temporal_ui_port),
        "simulator": (_LOCAL, _SIMULATOR_PORT),
        "whatsapp": (_LOCAL, _WHATSAPP_PORT),
    }
    chosen: dict[str, int] = {}
    with ExitStack() as claims:
        for name in sorted(wanted, key=lambda name: name not in settings.model_fields_set):  # what is set comes first
            host, port = wanted[name]
            chosen[name] = _choose(claims, name, host, port, explicit=name in settings.model_fields_set)
        yield Ports(
            api=chosen.pop("port"),
            temporal=chosen.pop("temporal_port"),
            temporal_ui=chosen.pop("temporal_ui_port"),
            **chosen,
        )


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now (connections that linger after a restart do not count)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _choose(claims: ExitStack, name: str, host: str, wanted: int, *, explicit: bool) -> int:
    for port in (wanted,) if explicit else range(wanted, min(wanted + _TRIES, 65_536)):
        claim = _claim(port)
        if claim is None:
            continue
        claims.callback(claim.close)
        if is_free(host, port):
            return port
    setting = name.upper()
    if explicit:
        raise LaunchError(
            f"{setting}: port {wanted} is taken on {host}; stop what uses it, or set {setting} to another"
        )
    raise LaunchError(f"no free port on {host} between {wanted} and {wanted + _TRIES}; set {setting} to a free one")


def _claim(port: int) -> socket.socket | None:
    """A mark that other launchers see from now on, though the port's server starts only later; None if it is there.

    It is a name in Linux' abstract namespace (man 7 unix), which goes with the process. Elsewhere it marks nothing.
    """
    claim = socket.socket(socket.AF_UNIX)
    try:
        if sys.platform == "linux":
            claim.bind(f"\0perplexity-agent-port-{port}")
    except OSError:
        claim.close()
        return None
    return claim
