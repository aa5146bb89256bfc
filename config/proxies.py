"""The proxies that the environment names: for the world outside, and only such as the HTTP client can use."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

_NAMES = ("http_proxy", "https_proxy", "all_proxy")
_USABLE = ("http", "https", "socks5", "socks5h")
_DESKTOP = "socks"
"""What desktops' settings export, and mean SOCKS 5 by."""


def usable_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables to set anew, so that the HTTP client understands what a desktop wrote."""
    changed = {}
    for name, value in _set(environment):
        scheme, found, rest = value.strip().partition("://")
        if found and scheme.lower() == _DESKTOP:
            changed[name] = f"socks5://{rest}"
    return changed


def proxy_trouble(environment: Mapping[str, str]) -> str | None:
    """One line for the first proxy that cannot be used, without its password."""
    from config.values import masked  # it needs Pydantic, which `entry.py` cannot trust yet to be the real one

    for name, value in _set(environment):
        if not _is_usable(value.strip()):
            return (
                f"{name}: got {masked(value)!r}; http://, https://, socks5:// or socks5h:// with host and port,"
                " like http://proxy.internal:3128; or unset it"
            )
    return None


def proxy_towards(url: str, environment: Mapping[str, str]) -> tuple[str, str] | None:
    """The variable whose proxy calls of *url* go through, and its value; None where none stands between."""
    parts = urlsplit(url)
    given = {name: value.strip() for name, value in environment.items() if value.strip()}
    lower = {name.lower(): name for name in sorted(given)}  # where both are set, the small letters count
    if _is_exempt(parts, given.get(lower.get("no_proxy", ""), "")):
        return None
    name = lower.get(f"{parts.scheme}_proxy") or lower.get("all_proxy")
    return (name, given[name]) if name else None


def _is_exempt(parts: SplitResult, no_proxy: str) -> bool:
    """Whether NO_PROXY names its host (`internal` also those below it), with or without the port, or its network."""
    host = parts.hostname or ""
    places = (f".{host}", f".{host}:{parts.port}")
    names = [name.strip().lower().removeprefix("*.").removeprefix(".") for name in no_proxy.split(",")]
    named = any(name == "*" or (name and any(place.endswith(f".{name}") for place in places)) for name in names)
    return named or any(_is_within(host, name) for name in names if "/" in name)


def _is_within(host: str, network: str) -> bool:
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False


def _set(environment: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in environment.items() if name.lower() in _NAMES and value.strip()]


def _is_usable(value: str) -> bool:
    """As httpx2 reads it: without a scheme it is http."""
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        return parts.scheme in _USABLE and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
