"""Which addresses may be called: public ones. Names are resolved here, once, so that nothing changes in between."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

Resolve = Callable[[str, int], Awaitable[list[str]]]
Address = IPv4Address | IPv6Address

_SHARED = ip_network("100.64.0.0/10")  # carrier-grade NAT (RFC 6598)
_NAT64 = ip_network("64:ff9b::/96")  # RFC 6052: the last four bytes are an IPv4 address
_NAT64_LOCAL = ip_network("64:ff9b:1::/48")  # RFC 8215


class AddressRefused(Exception):
    """The name leads, wholly or in part, to where nobody may be called."""


async def resolve(host: str, port: int) -> list[str]:
    """All addresses of *host*. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(each[4][0]) for each in found]


async def checked_addresses(host: str, port: int, *, private: bool, resolve: Resolve) -> list[str]:
    """The addresses of *host*, in the order to be tried. Each must be public, unless it may be *private*.

    Raises AddressRefused, or OSError if the name leads nowhere. Odd spellings (`127.1`, `0x7f000001`) are names to
    the resolver, so what counts is what they lead to.
    """
    addresses = list(dict.fromkeys(await resolve(host, port)))
    if not addresses:
        raise OSError(f"{host} has no address")
    if not private and not all(is_public(ip_address(each.partition("%")[0])) for each in addresses):
        raise AddressRefused(f"{host} leads to an address that may not be called")
    return addresses


def is_public(address: Address) -> bool:
    """Whether *address* is one of the internet's; addresses wrapped in IPv6 are unwrapped first."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address in _NAT64_LOCAL or address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and address not in _SHARED
