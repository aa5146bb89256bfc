"""Whether a long conversation gets slow: its newest turns against the tenth ones of young conversations.

The simulator's own time is taken off, for it reads a thread's whole history at each question.
"""

from __future__ import annotations

from bench.comparison import Comparison, Round, take_turns
from bench.stage import BenchStage

_TENTH = range(6, 15)


async def growth(stage: BenchStage) -> list[Comparison]:
    turns = stage.sizes.long_turns
    grown = Comparison(f"turn {turns:,}", f"turns around number {turns:,}", "turns around number 10", "≤ 1.3 ×")
    for _ in range(turns - len(_TENTH) * stage.sizes.rounds // 2):
        await stage.caller.say("old")
    for number in range(stage.sizes.rounds):
        grown.rounds.append(await _round(stage, f"young-{number}"))
    return [grown]


async def _round(stage: BenchStage, young: str) -> Round:
    for _ in range(_TENTH.start - 1):
        await stage.caller.say(young)

    async def late() -> float:
        return (await stage.caller.say("old")).without_model

    async def early() -> float:
        return (await stage.caller.say(young)).without_model

    return Round(*await take_turns(stage.random, len(_TENTH), late, early))
