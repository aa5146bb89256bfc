"""Which ports the parts listen on. Two launchers on one machine, even started at once, never choose the same."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from config.settings import Settings
from launch.failures import LaunchError

_LOCAL = "127.0.0.1"
_SIMULATOR_PORT = 8090
_WHATSAPP_PORT = 8190
_OF_THE_WORKER = ("worker_metrics_port", "worker_counters_port")
_OF_TEMPORAL = ("temporal_port", "temporal_ui_port")
_CONNECT_SECONDS = 2.0
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
    cannot be opened or is another setting's, too, or a HOST that is not ours.
    """
    names = used_ports(settings)
    wanted = {name: (_host_of(name, settings), getattr(settings, name)) for name in names}
    wanted |= {"simulator": (_LOCAL, _SIMULATOR_PORT), "whatsapp": (_LOCAL, _WHATSAPP_PORT)}
    check_host(settings.host)
    check_different(settings, names)
    chosen: dict[str, int] = {}
    with ExitStack() as claims:
        for name in sorted(wanted, key=lambda name: name not in settings.model_fields_set):  # what is set comes first
            host, port = wanted[name]
            chosen[name] = _choose(claims, name, host, port, explicit=name in settings.model_fields_set)
        yield Ports(
            api=chosen["port"],
            temporal=chosen.get("temporal_port", settings.temporal_port),
            temporal_ui=chosen.get("temporal_ui_port", settings.temporal_ui_port),
            simulator=chosen["simulator"],
            whatsapp=chosen["whatsapp"],
        )


def used_ports(settings: Settings) -> list[str]:
    """The settings whose ports a whole start opens: of Temporal's only where it is ours, of the worker's if not 0."""
    temporals = _OF_TEMPORAL if settings.temporal_address is None else ()
    return ["port", *temporals, *(name for name in _OF_THE_WORKER if getattr(settings, name))]


def _host_of(name: str, settings: Settings) -> str:
    return _LOCAL if name in _OF_TEMPORAL else settings.host


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now (connections that linger after a restart do not count)."""
    return _refusal(host, port) is None


def check_host(host: str) -> None:
    """Raises LaunchError if *host* (HOST) is no address that this machine could listen on."""
    error = _refusal(host, 0, connect=True)
    if error is None:
        return
    raise LaunchError(
        f"HOST: got {host!r}, which is no address of this machine ({error.strerror or error}); unset it, or set it"
        " to 127.0.0.1 (this machine alone) or 0.0.0.0"
    )


def check_different(settings: Settings, names: Sequence[str]) -> None:
    """Raises LaunchError if two of the ports that the user set are one: on this machine no two parts can open it."""
    of_port: dict[int, str] = {}
    for name in names:
        port: int = getattr(settings, name)
        if name not in settings.model_fields_set:
            continue
        other = of_port.setdefault(port, name)
        if other != name:
            raise LaunchError(f"{name.upper()}: got {port}, as {other.upper()} did; give each a port of its own")


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


def _refusal(host: str, port: int, *, connect: bool = False) -> OSError | None:
    """Why a server could not listen there now, or, with *connect*, nobody could reach it; None if it could."""
    try:
        family, kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:  # as servers do, so that an IPv4 address is none of them
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(address)
            if connect:
                probe.listen(1)
                with socket.socket(family, kind) as client:
                    client.settimeout(_CONNECT_SECONDS)
                    client.connect(probe.getsockname())
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
