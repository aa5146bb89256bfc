"""The time of day where code takes it as an input, so that a test can pass its own: see `Clock`.

Other code reads the machine's clock itself: how old is what PostgreSQL or Temporal stamped (`activities/`,
`integrations/temporal/`, `launch/parts.py`), how long a visitor stays signed in, what Twilio's stand-in stamps.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Now, in UTC. For what is compared with a channel's or the wrapper's own times; the database keeps its own time."""


def utc_now() -> datetime:
    return datetime.now(UTC)
