"""Whether strangers may reach us: what is open on a machine of one's own is closed then.

Told by the settings alone. By a peer's address nobody could tell: behind a proxy all callers have the same.
"""

from __future__ import annotations

from config.served_address import is_loopback
from config.settings import Settings


def is_exposed(settings: Settings) -> bool:
    return settings.public_url is not None or not is_loopback(settings.host)
