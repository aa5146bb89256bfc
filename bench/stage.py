"""Everything a scenario needs: the caller, the floor, the simulator's address, sizes, and a seeded order."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from bench.floor import FloorCaller
from bench.subject import Caller


@dataclass(frozen=True)
class Sizes:
    """How much is measured. `times` makes all of it smaller or larger, never less than what gives a median."""

    rounds: int = 5
    samples: int = 10
    streams: int = 4
    conversations: int = 50
    slots: int = 7
    turns_each: int = 4
    long_turns: int = 1_000

    def times(self, scale: float) -> Sizes:
        return Sizes(
            rounds=max(2, round(self.rounds * scale)),
            samples=max(3, round(self.samples * scale)),
            streams=max(2, round(self.streams * scale)),
            slots=max(3, round(self.slots * scale)),
            conversations=max(2, round(self.conversations * scale)),
            turns_each=max(2, round(self.turns_each * scale)),
            long_turns=max(30, round(self.long_turns * scale)),
        )


@dataclass(frozen=True)
class BenchStage:
    caller: Caller
    floor: FloorCaller
    simulator: str
    sizes: Sizes
    random: Random
