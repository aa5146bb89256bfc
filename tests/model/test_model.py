"""Drawn examples against the core as it is, and that an example plays the same way every time."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial

import pytest
import structlog

from tests.model.configurations import Configured
from tests.model.drawing import AT_FRONT_DOORS, Meeting
from tests.model.events import OF_ACTORS, DrawnEvent
from tests.model.holes import HOLES, composed, put_back
from tests.model.machine import ConversationMachine
from tests.model.many import in_processes, seen_in
from tests.model.outside import ModelSays, Taken
from tests.model.phases import Phase
from tests.model.report import RARE, Met, reached, table
from tests.model.running import examples
from tests.model.stage import Stage, stage_at
from tests.model.world import World

SEEDS = (1, 2, 3)
RUNS_OF_EACH = 10
MANY = 1_600
MANY_SEEDS = (11, 12, 13, 14)
WANTED_PAIRS = 0.95
TIMES = 20


@pytest.fixture(scope="module")
def stage(postgres_url: str) -> Iterator[Stage]:
    with stage_at(postgres_url) as stage:
        yield stage


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """An example's log would hide its script."""
    with structlog.testing.capture_logs():
        yield


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_meets_whatever_the_promises_hold(stage: Stage, seed: int) -> None:
    examples(stage, RUNS_OF_EACH, seed)


def test_an_example_plays_the_same_way_every_time(stage: Stage) -> None:
    traces = {tuple(_played(stage, number=7).stops.trace) for _ in range(TIMES)}

    assert [len(trace) > 20 for trace in traces] == [True]


def test_the_model_finds_a_hole_that_is_put_back(stage: Stage) -> None:
    """The quickest of those that `make power` looks for."""
    hole = next(hole for hole in HOLES if hole.number == 2)
    with put_back(hole, stage), pytest.raises(AssertionError, match="a part was sent"):
        examples(stage, 30, 1, composes=partial(composed, hole), shrink=False)


@pytest.mark.chaos
@pytest.mark.timeout(7_200)
def test_whatever_can_meet_has_met(postgres_url: str) -> None:
    met, states, failed = Met(), set[str](), list[str]()
    for seen in in_processes(postgres_url, seen_in, [(seed, MANY // len(MANY_SEEDS)) for seed in MANY_SEEDS]):
        met.update(seen.met)
        states.update(seen.states)
        failed += [seen.failed] if seen.failed else []

    print(table(met), f"never seen: {sorted(RARE - states)}", *failed, sep="\n")
    assert not failed, failed[0]
    assert reached(met) >= WANTED_PAIRS, table(met)
    assert states >= RARE, f"never seen: {sorted(RARE - states)}"


def _machine(stage: Stage) -> ConversationMachine:
    made = {"make_world": staticmethod(stage.world)}
    machine: type[ConversationMachine] = type("Machine", (ConversationMachine,), made)
    return machine()


def _played(stage: Stage, number: int) -> World:
    """An example of its own: some of everything, as *number* says, as a kept script would be played."""
    state, chosen = _machine(stage), random.Random(number)
    state.begins(which=Configured.ALL)
    for _ in range(2):
        meeting = Meeting(
            event=chosen.choice(sorted(OF_ACTORS)),
            phase=chosen.choice([Phase.ASKS, Phase.ANSWERED, Phase.COMMITTED, Phase.TAKEN]),
            said=(chosen.choice(list(ModelSays)), chosen.choice(list(ModelSays))),
            taken=chosen.choice(list(Taken)),
            rounds=2,
            customer=chosen.randrange(2),
        )
        state.fails(meeting=meeting)
        at_once = (chosen.choice(AT_FRONT_DOORS), chosen.choice(AT_FRONT_DOORS))
        state.two_come_at_once(customer=0, events=at_once, order=[chosen.randrange(3) for _ in range(5)])
        state.happens(event=chosen.choice([DrawnEvent.YES, DrawnEvent.TIME, DrawnEvent.SWEEP]), customer=0, which=0)
    state.teardown()
    return state.world
