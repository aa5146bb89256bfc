"""TEST_NOW: what each of its values calls now, on every day of a year."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.clock import BEFORE_THE_END, instant

REAL = datetime(2027, 11, 23, 9, 30, tzinfo=UTC)
ANY_TIME = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("", REAL),
        ("+1d", REAL + timedelta(days=1)),
        ("+400d", REAL + timedelta(days=400)),
        ("+90m", REAL + timedelta(minutes=90)),
        ("day-end", datetime(2027, 11, 23, 23, 59, 50, tzinfo=UTC)),
        ("month-end", datetime(2027, 11, 30, 23, 59, 50, tzinfo=UTC)),
        ("year-end", datetime(2027, 12, 31, 23, 59, 50, tzinfo=UTC)),
        ("2028-02-29T23:59:55+08:00", datetime(2028, 2, 29, 15, 59, 55, tzinfo=UTC)),
    ],
)
def test_each_value_names_an_instant(wanted: str, expected: datetime) -> None:
    assert instant(wanted, REAL) == expected


@pytest.mark.parametrize("wanted", ["tomorrow", "-1d", "+1w", "+d", "2028-02-29T23:59:55", "2027-13-01"])
def test_what_is_no_value_is_told(wanted: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"TEST_NOW={wanted}: wants")):
        instant(wanted, REAL)


@given(ANY_TIME)
def test_the_ends_come_and_pass_during_the_run(real: datetime) -> None:
    day, month, year = (instant(end, real) for end in ("day-end", "month-end", "year-end"))

    assert real <= day <= month <= year
    assert (day + BEFORE_THE_END).time() == (month + BEFORE_THE_END).time() == (year + BEFORE_THE_END).time()
    assert day.date() < (day + BEFORE_THE_END).date()
    assert month.month != (month + BEFORE_THE_END).month
    assert year.year != (year + BEFORE_THE_END).year
