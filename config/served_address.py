"""Under which address a browser sees us: what cookies and links may be made for it.

A proxy with a certificate stands before us in production, and we hear plain http. So an address that PUBLIC_URL names
is what it says there; any other is what the connection says, or a proxy of TRUSTED_PROXIES.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit


@dataclass(frozen=True)
class ServedAddress:
    """*host* as a browser writes it: a name or an address, and a port unless it is the scheme's own."""

    scheme: str
    host: str

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.host}"

    @property
    def is_https(self) -> bool:
        return self.scheme == "https"

    @property
    def is_loopback(self) -> bool:
        return is_loopback(_name_of(self.host))


def served_address(scheme: str, host: str, public_url: str | None) -> ServedAddress:
    """Of a request with that `Host`. A port that a proxy left out counts as the one of PUBLIC_URL."""
    public = urlsplit(public_url or "")
    if public.hostname and public.hostname == _name_of(host):
        return ServedAddress(public.scheme, public.netloc.rpartition("@")[2].lower())
    return ServedAddress(scheme, host.lower())


def is_loopback(name: str) -> bool:
    """Whether *name*, without a port, is this machine to whoever says it."""
    try:
        return ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def _name_of(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
