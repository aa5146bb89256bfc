"""Runs examples of the machine on a stage: so many, from a seed, until the first that breaks a promise."""

from __future__ import annotations

from collections.abc import Callable

import hypothesis.internal.conjecture.engine as engine
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS, HypothesisProvider
from hypothesis.stateful import RuleBasedStateMachine, get_state_machine_test

from tests.model.machine import ConversationMachine
from tests.model.stage import Stage
from tests.model.world import Composes, World
from worker.app import create_activities

engine.MAX_SHRINKING_SECONDS = 30  # of Hypothesis: five minutes are more than a smaller script is worth


class EachAnew(HypothesisProvider):
    """Draws as Hypothesis does, but each example anew: Hypothesis itself plays each one six times more, hardly
    changed, and an example costs too much for that."""


AVAILABLE_PROVIDERS["each anew"] = EachAnew

STEPS = 10
"""Rules of an example, at most."""


def examples(
    stage: Stage,
    runs: int,
    from_seed: int,
    *,
    composes: Composes = create_activities,
    shrink: bool = True,
    seen: Callable[[World], None] = lambda world: None,
    **changes: object,
) -> int:
    """Plays up to *runs* examples and says how many; raises what the first failing one does, made small. *seen* gets
    each when it is over."""
    played = 0

    def make_world() -> World:
        nonlocal played
        played += 1
        world = stage.world(composes, **changes)
        world.is_over = seen
        return world

    machine: type[RuleBasedStateMachine] = type(
        "Machine", (ConversationMachine,), {"make_world": staticmethod(make_world)}
    )
    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
    chosen = settings(
        max_examples=runs,
        stateful_step_count=STEPS,
        phases=phases,
        deadline=None,
        database=None,
        backend="each anew",
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        print_blob=False,
    )
    seed(from_seed)(get_state_machine_test(machine, settings=chosen))()
    return played
