"""Services of somebody else that the settings name, looked at before anything starts: one line for what is wrong."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable

import httpx2
from socksio import SOCKSError

from config.hosts import through_proxies
from config.proxies import proxy_towards
from config.settings import Settings
from config.values import masked
from launch.deadlines import in_time
from launch.failures import LaunchError
from launch.temporal import is_serving

_LOOK_SECONDS = 0.5


def wait_for_temporal(settings: Settings, say: Callable[[str], None], stopped: Callable[[], bool]) -> None:
    """Returns once a Temporal that is not ours serves, or *stopped*. One that is secured is left to the worker.

    It may be starting beside us, so it has START_SECONDS. Raises LaunchError.
    """
    address = settings.temporal_address
    if address is None or settings.temporal_api_key or settings.temporal_tls_cert or settings.temporal_tls_ca:
        return
    _resolve("TEMPORAL_ADDRESS", address)
    deadline, waiting = time.monotonic() + settings.start_seconds, False
    while not is_serving(address) and not stopped():
        if time.monotonic() > deadline:
            raise LaunchError(
                f"TEMPORAL_ADDRESS: no Temporal answers at {address} after {settings.start_seconds:g} s"
                " (START_SECONDS); start it, or unset TEMPORAL_ADDRESS to use the dev server"
            )
        if not waiting:
            say(f"Waiting for Temporal at {address} …")
            waiting = True
        time.sleep(_LOOK_SECONDS)


def trouble_with_wrapper(settings: Settings) -> str | None:
    """One line if the wrapper does not answer now. The start goes on: messages are taken, and answered once it does."""
    url = settings.perplexity_base_url
    if url is None:
        return None
    seconds = settings.perplexity_connect_timeout_seconds
    try:
        status = in_time(lambda: _health(url), seconds)
    except (httpx2.HTTPError, httpx2.InvalidURL, SOCKSError, ValueError, OSError) as error:
        reason = str(error) or type(error).__name__
    else:
        if status == 200:
            return None
        reason = f"GET /health gives {status}"
    proxy = proxy_towards(url, os.environ) if through_proxies(url) else None
    through = f", through {proxy[0]} {masked(proxy[1])}" if proxy else ""
    told = f"no wrapper answers at {masked(url)}{through} ({reason}); customers wait until one does"
    return f"PERPLEXITY_BASE_URL: {told}"


def _health(url: str) -> int:
    """Without a limit of its own: whoever asks has one, and with two a busy machine says now this, now that."""
    with httpx2.Client(trust_env=through_proxies(url), timeout=None) as http:
        return http.get(f"{url}/health").status_code


def _resolve(setting: str, address: str) -> None:
    host = address.rpartition(":")[0].strip("[]")
    try:
        socket.getaddrinfo(host, None)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "not a name"
        raise LaunchError(f"{setting}: got {address!r}, and {host} is not known ({reason}); mend the name") from None
