"""The tests' only clock: nothing else in tests/ reads the time of day (`tests/unit/test_clock_rule.py` sees to it).

TEST_NOW moves it, for the whole run and its child processes: `+30d` (also `h`, `m`, `s`), `day-end`, `month-end`,
`year-end` (ten seconds before the next one, in UTC, so that it passes during the run), or an instant in ISO 8601. The
clock goes on from there. What waits for something measures with `time.monotonic`, which this does not touch.
`python -m tests.support.clock year-end` prints the instant, for tools that shift the whole machine's clock.
"""

from __future__ import annotations

import os
import re
import sys
from datetime import UTC, datetime, timedelta

from config.clock import utc_now

SETTING = "TEST_NOW"
ENDS = ("day-end", "month-end", "year-end")
BEFORE_THE_END = timedelta(seconds=10)
_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


def instant(wanted: str, real: datetime) -> datetime:
    """What *wanted*, a value of TEST_NOW, calls now when it is really *real*. Raises ValueError for another word."""
    if not wanted:
        return real
    if shift := re.fullmatch(r"\+(\d+)([dhms])", wanted):
        return real + timedelta(**{_UNITS[shift[2]]: int(shift[1])})
    if wanted in ENDS:
        return _next(wanted, real + BEFORE_THE_END) - BEFORE_THE_END
    try:
        moment = datetime.fromisoformat(wanted)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError(f"{SETTING}={wanted}: wants +30d, one of {', '.join(ENDS)}, or an instant with its zone")
    return moment.astimezone(UTC)


def _next(end: str, after: datetime) -> datetime:
    """The first midnight (UTC) later than *after* that ends a day, month or year."""
    midnight = after.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    while (end != "day-end" and midnight.day != 1) or (end == "year-end" and midnight.month != 1):
        midnight += timedelta(days=1)
    return midnight


def _shift() -> timedelta:
    real = datetime.now(UTC)
    return instant(os.environ.get(SETTING, ""), real) - real


_SHIFT = _shift()


def shifted_now() -> datetime:
    return datetime.now(UTC) + _SHIFT


now = shifted_now if _SHIFT else utc_now
"""The instant that tests regard as now, in UTC."""

of_commands = utc_now
"""The machine's, whatever the setting: a command has no other, and a system beside it keeps the same."""


class MovableClock:
    """`now`, as far ahead as it is told: a test's days pass in milliseconds."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return now() + self.ahead


BEGAN = "TESTS_BEGAN"
NOW = datetime.fromisoformat(os.environ.setdefault(BEGAN, now().replace(microsecond=0).isoformat()))
"""`now` when the run began, in whole seconds, as channels tell time: one for all processes of the run, or they would
collect tests of different names."""


def stamp(moment: datetime) -> str:
    """Unix seconds, as WhatsApp writes them."""
    return str(int(moment.timestamp()))


if __name__ == "__main__":
    print(f"{instant(sys.argv[1], datetime.now(UTC)):%Y-%m-%d %H:%M:%S}")
