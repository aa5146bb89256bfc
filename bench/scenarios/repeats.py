"""A message that is sent again after it was answered, against a fresh one."""

from __future__ import annotations

from bench.comparison import Comparison, Round, take_turns
from bench.stage import BenchStage


async def repeats(stage: BenchStage) -> list[Comparison]:
    repeat = Comparison("repeat", "an answered message_id again", "a fresh turn", "≤ 0.5 ×")
    answered = (await stage.caller.say("repeats", message_id="repeated")).turn

    async def again() -> float:
        timed = await stage.caller.say("repeats", message_id="repeated")
        if timed.turn != answered:
            raise RuntimeError("a repeated message got another answer")
        return timed.seconds

    async def fresh() -> float:
        return (await stage.caller.say("repeats")).seconds

    for _ in range(stage.sizes.rounds):
        repeat.rounds.append(Round(*await take_turns(stage.random, stage.sizes.samples, again, fresh)))
    return [repeat]
