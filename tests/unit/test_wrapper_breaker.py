"""The circuit breaker, on a clock of its own."""

from __future__ import annotations

import pytest

from integrations.perplexity.breaker import CircuitBreaker
from schemas.failures import ModelFailureKind


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def opened(clock: Clock) -> CircuitBreaker:
    """A breaker of 3 failures and 15 seconds that has just opened."""
    breaker = CircuitBreaker(3, 15.0, clock)
    for _ in range(3):
        breaker.failed(ModelFailureKind.CONNECT)
    return breaker


def test_it_stays_closed_below_the_limit(clock: Clock) -> None:
    breaker = CircuitBreaker(3, 15.0, clock)
    for kind in (ModelFailureKind.CONNECT, ModelFailureKind.SESSION):
        breaker.failed(kind)

    assert breaker.wait() == 0.0


def test_a_failure_of_another_kind_means_that_the_wrapper_was_reached(clock: Clock) -> None:
    breaker = CircuitBreaker(3, 15.0, clock)
    for kind in (
        ModelFailureKind.CONNECT,
        ModelFailureKind.CONNECT,
        ModelFailureKind.UPSTREAM,
        ModelFailureKind.CONNECT,
    ):
        breaker.failed(kind)

    assert breaker.wait() == 0.0


def test_open_it_says_how_long_to_wait(opened: CircuitBreaker, clock: Clock) -> None:
    clock.now += 5

    assert opened.wait() == 10.0


def test_our_own_limit_teaches_nothing(opened: CircuitBreaker) -> None:
    opened.failed(ModelFailureKind.BUSY_HERE)

    assert opened.wait() == 15.0


def test_after_its_time_one_may_try_and_the_others_go_on_waiting(opened: CircuitBreaker, clock: Clock) -> None:
    clock.now += 15

    assert [opened.wait(), opened.wait()] == [0.0, 15.0]


def test_a_trial_that_was_given_up_brings_another_one_later(opened: CircuitBreaker, clock: Clock) -> None:
    clock.now += 15
    opened.wait()
    clock.now += 15

    assert opened.wait() == 0.0


def test_it_closes_with_the_first_answer(opened: CircuitBreaker) -> None:
    opened.reached()

    assert opened.wait() == 0.0
