"""The time of day, for code that takes it as an input: what a composition root passes unless a test passes its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Now, in UTC. Only for what a channel's own timestamps are compared with; the database keeps its own time."""


def utc_now() -> datetime:
    return datetime.now(UTC)
