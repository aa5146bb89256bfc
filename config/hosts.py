"""Addresses on this machine: a proxy of the environment is for the world outside, and HOST is where we listen."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from urllib.parse import urlsplit


def through_proxies(url: str) -> bool:
    """Whether calls of *url* go through the proxy that the environment names (an HTTP client's `trust_env`)."""
    return bool(url) and not is_local(urlsplit(url).hostname or "")


def is_local(host: str) -> bool:
    """Whether *host* is this machine, whatever it is called."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def listening_address(host: str, port: int) -> str:
    """`address:port` for who takes no names; an IPv6 address is in brackets. Raises OSError for an unknown name."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    address = str(found[0][4][0])
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
