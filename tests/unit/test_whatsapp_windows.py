"""The 24-hour window and the order of delivery statuses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.whatsapp.incoming import DeliveryStatus
from integrations.whatsapp.statuses import advanced
from integrations.whatsapp.window import closes_at, is_open

WROTE = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
QUEUED, SENT, DELIVERED, READ, FAILED, DELETED = DeliveryStatus


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


def test_every_order_of_arrival_ends_as_read() -> None:
    for order in permutations([QUEUED, SENT, DELIVERED, READ, SENT]):
        held = None
        for status in order:
            held = advanced(held, status)
        assert held is READ


@pytest.mark.parametrize(
    ("held", "reported", "after"),
    [
        (None, READ, READ),
        (QUEUED, FAILED, FAILED),
        (SENT, FAILED, FAILED),
        (DELIVERED, FAILED, DELIVERED),
        (READ, FAILED, READ),
        (FAILED, SENT, FAILED),
        (FAILED, DELIVERED, FAILED),
        (READ, DELETED, DELETED),
        (DELETED, READ, DELETED),
    ],
)
def test_failed_replaces_only_what_never_arrived(
    held: DeliveryStatus | None, reported: DeliveryStatus, after: DeliveryStatus
) -> None:
    assert advanced(held, reported) is after


@given(st.lists(st.sampled_from(DeliveryStatus), min_size=1))
def test_a_repeated_status_changes_nothing(reported: list[DeliveryStatus]) -> None:
    held = None
    for status in reported:
        held = advanced(held, status)
        assert advanced(held, status) is held
