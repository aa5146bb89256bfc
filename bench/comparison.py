"""What a scenario brings back: two things measured in turns, round by round, so that a noisy machine hits both."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from random import Random
from statistics import median
from typing import Any, Literal

Measure = Callable[[], Awaitable[float]]
"""Does one thing once; gives its seconds (or another number, the comparison's `unit` says which)."""


@dataclass(frozen=True)
class Round:
    """Numbers of one round, in the order they were taken."""

    measured: Sequence[float]
    against: Sequence[float]


@dataclass
class Comparison:
    """`relation` says what the table shows of the two medians: their ratio, or their difference in milliseconds."""

    name: str
    measured: str
    against: str
    aim: str
    unit: str = "s"
    relation: Literal["ratio", "difference"] = "ratio"
    rounds: list[Round] = field(default_factory=list)

    def per_round(self) -> list[float]:
        """One number a round."""
        return [self._relate(median(one.measured), median(one.against)) for one in self.rounds]

    def typical(self) -> float:
        return median(self.per_round())

    def spread(self) -> tuple[float, float]:
        """The lowest and the highest round."""
        return min(self.per_round()), max(self.per_round())

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "per_round": self.per_round(), "typical": self.typical()}

    def _relate(self, measured: float, against: float) -> float:
        return measured / against if self.relation == "ratio" else 1_000 * (measured - against)


@dataclass(frozen=True)
class Figure:
    """A number that stands alone, for comparison with itself on the same machine."""

    name: str
    value: float
    unit: str


async def take_turns(random: Random, samples: int, *measures: Measure) -> list[list[float]]:
    """Every measure *samples* times, one call of each at a time in an order drawn anew; a list for each measure."""
    taken: list[list[float]] = [[] for _ in measures]
    for _ in range(samples):
        for which in random.sample(range(len(measures)), len(measures)):
            taken[which].append(await measures[which]())
    return taken
