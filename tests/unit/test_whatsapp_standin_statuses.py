"""What the stand-in's phone shows of statuses that it posted in any order."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.whatsapp.incoming import DeliveryStatus
from integrations.whatsapp.standin.statuses import advanced

QUEUED, SENT, DELIVERED, READ, FAILED, DELETED = DeliveryStatus


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
