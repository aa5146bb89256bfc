"""Which addresses are on this machine: a proxy of the environment is for the world outside, not for them."""

from __future__ import annotations

from urllib.parse import urlsplit


def through_proxies(url: str) -> bool:
    """Whether calls of *url* go through the proxy that the environment names (an HTTP client's `trust_env`)."""
    return urlsplit(url).hostname not in ("127.0.0.1", "localhost", "::1")
