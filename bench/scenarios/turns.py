"""One HTTP turn with a model that answers at once, against bare updates on the same Temporal server."""

from __future__ import annotations

from uuid import uuid4

from bench.comparison import Comparison, Round, take_turns
from bench.stage import BenchStage

_WARM = 5


async def turns(stage: BenchStage) -> list[Comparison]:
    """A turn in a conversation that is awake, and a new customer's first one."""
    return [*await _warm(stage), await _first(stage)]


async def _warm(stage: BenchStage) -> list[Comparison]:
    act = Comparison("turn", "HTTP turn, model at 0 s", "bare update-with-start + empty activity", "≤ 2.5 ×")
    touch = Comparison("turn / bare update", "HTTP turn, model at 0 s", "bare update, no activity", "≤ 5 ×")
    bare = Comparison("activity", "bare update + empty activity", "bare update, no activity", "(the floor itself)")

    async def turn() -> float:
        return (await stage.caller.say("warm")).seconds

    measures = turn, lambda: stage.floor.act("floor-warm"), lambda: stage.floor.touch("floor-warm")
    await take_turns(stage.random, _WARM, *measures)
    for _ in range(stage.sizes.rounds):
        ours, acts, touches = await take_turns(stage.random, stage.sizes.samples, *measures)
        act.rounds.append(Round(ours, acts))
        touch.rounds.append(Round(ours, touches))
        bare.rounds.append(Round(acts, touches))
    return [act, touch, bare]


async def _first(stage: BenchStage) -> Comparison:
    first = Comparison("first turn", "a new customer's first turn", "the same that starts a bare workflow", "≤ 2.5 ×")

    async def turn() -> float:
        return (await stage.caller.say(f"first-{uuid4()}")).seconds

    async def floor() -> float:
        return await stage.floor.act(f"floor-first-{uuid4()}")

    for _ in range(stage.sizes.rounds):
        ours, floors = await take_turns(stage.random, stage.sizes.samples, turn, floor)
        first.rounds.append(Round(ours, floors))
    return first
