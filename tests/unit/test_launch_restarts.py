"""How often a part may come back, and after what pauses."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from launch.restarts import RestartBudget


def test_pauses_double_up_to_the_longest() -> None:
    budget = RestartBudget(limit=6, window=60, pause=0.5, pause_max=3)

    pauses = [budget.next_pause(now=second) for second in range(6)]

    assert pauses == [0.5, 1, 2, 3, 3, 3]


def test_one_too_many_within_the_window_is_refused() -> None:
    budget = RestartBudget(limit=2, window=10, pause=1, pause_max=1)

    assert [budget.next_pause(now) for now in (0, 5, 9.9)] == [1, 1, None]


def test_deaths_before_the_window_are_forgotten() -> None:
    budget = RestartBudget(limit=2, window=10, pause=1, pause_max=8)
    budget.next_pause(0)
    budget.next_pause(1)

    assert budget.next_pause(10.5) == 2  # that of 0 is forgotten, that of 1 not yet
    assert budget.next_pause(100) == 1


@given(st.lists(st.floats(0, 1_000), min_size=1).map(sorted), st.integers(0, 5))
def test_no_window_ever_holds_more_than_the_limit(times: list[float], limit: int) -> None:
    budget = RestartBudget(limit=limit, window=30, pause=0.1, pause_max=2)

    granted = [now for now in times if budget.next_pause(now) is not None]

    assert all(sum(1 for other in granted if now - 30 < other <= now) <= limit for now in granted)
