"""Which ports the parts listen on. Two launchers on one machine, even started at once, never choose the same."""

from __future__ import annotations

import errno
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

    A default that is taken gives way to the next free one. Raises LaunchError for one that the user set and that
    cannot be opened, or a HOST that is not ours.
    """
    wanted = {
        "port": (settings.host, settings.port),
        "temporal_port": (_LOCAL, settings.temporal_port),
        "temporal_ui_port": (_LOCAL, settings.temporal_ui_port),
        "simulator": (_LOCAL, _SIMULATOR_PORT),
        "whatsapp": (_LOCAL, _WHATSAPP_PORT),
    }
    check_host(settings.host)
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
    return _refusal(host, port) is None


def check_host(host: str) -> None:
    """Raises LaunchError if *host* (HOST) is no address that this machine could listen on."""
    error = _refusal(host, 0)
    if error is None:
        return
    raise LaunchError(
        f"HOST: got {host!r}, which is no address of this machine ({error.strerror or error}); unset it, or set it"
        " to 127.0.0.1 (this machine alone) or 0.0.0.0"
    )


def check_port(setting: str, host: str, port: int) -> None:
    """Raises LaunchError that says why nobody can listen there: taken, or not allowed."""
    if error := _refusal(host, port):
        raise LaunchError(refusal_in_words(setting, host, port, error))


def refusal_in_words(setting: str, host: str, port: int, error: OSError) -> str:
    """What the system's *error* means to the user, and what to do."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return (
            f"{setting}: this user may not open port {port} on {host} ({error.strerror}; ports below 1024 are root's);"
            f" set {setting} to another"
        )
    return _taken(setting, host, port)


def _refusal(host: str, port: int) -> OSError | None:
    """Why a server could not listen there now; None if it could."""
    try:
        family, kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except UnicodeError:  # of a name that is none: labels that are too long or empty
        return OSError(errno.EADDRNOTAVAIL, "not a name")
    except OSError as error:
        return error
    return None


def _taken(setting: str, host: str, port: int) -> str:
    return f"{setting}: port {port} is taken on {host}; stop what uses it, or set {setting} to another"


def _choose(claims: ExitStack, name: str, host: str, wanted: int, *, explicit: bool) -> int:
    setting = name.upper()
    for port in (wanted,) if explicit else range(wanted, min(wanted + _TRIES, 65_536)):
        claim = _claim(port)
        if claim is None:
            continue
        claims.callback(claim.close)
        if explicit:
            check_port(setting, host, port)
        if is_free(host, port):
            return port
    if explicit:
        raise LaunchError(_taken(setting, host, wanted))
    raise LaunchError(
        f"no port between {wanted} and {wanted + _TRIES} can be opened on {host}; set {setting} to one that can"
    )


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
