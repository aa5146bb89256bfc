"""The one clock: Python takes it as an input (`Clock`), SQL from `agent_now()`, which follows it.

So a test can let days pass (`storage.database.Database`). The machine's own clock tells how old is what Temporal
stamped (`integrations/temporal/`), a process's age, how long a visitor stays signed in, and what Twilio's stand-in
stamps.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Now, in UTC."""

Monotonic = Callable[[], float]
"""Seconds that only ever grow, for what lasts moments: `time.monotonic`."""


def utc_now() -> datetime:
    return datetime.now(UTC)
