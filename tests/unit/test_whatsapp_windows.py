"""The 24-hour window."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from integrations.whatsapp.window import closes_at, is_open

WROTE = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("later", "opened"),
    [
        (timedelta(0), True),
        (timedelta(hours=23, minutes=59), True),
        (timedelta(hours=23, minutes=59, seconds=30), False),
        (timedelta(hours=24), False),
        (timedelta(days=2), False),
    ],
)
def test_the_window_closes_a_little_before_24_hours(later: timedelta, opened: bool) -> None:
    assert is_open(WROTE, WROTE + later) is opened


def test_the_margin_is_a_choice() -> None:
    assert is_open(WROTE, closes_at(WROTE) - timedelta(seconds=1), margin=timedelta(0))


def test_who_never_wrote_has_no_window() -> None:
    assert not is_open(None, WROTE)
