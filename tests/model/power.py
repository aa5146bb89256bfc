"""Measures the model test's power: how soon it finds each hole that is put back. `make power`.

Stops at each hole's first find, and prints after how many runs and from which seed it came.
"""

from __future__ import annotations

import argparse
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import structlog
from hypothesis.errors import FlakyFailure

from tests.model.holes import HOLES, Hole, composed, put_back
from tests.model.running import examples
from tests.model.stage import Stage, stage_at
from tests.model.world import World
from tests.servers import postgres_server

RUNS = 1_000
WANTED = 16
"""Of eighteen."""


@dataclass(frozen=True)
class Find:
    """*runs*: the one that found it; None: none did. *stale*: what the hole rewrites is in the core no more."""

    hole: Hole
    runs: int | None
    seconds: float
    what: str
    stale: bool


def look_for(stage: Stage, hole: Hole, seed: int, runs: int = RUNS) -> Find:
    """Plays until the hole is found."""
    broken, began = list[str](), time.monotonic()

    def judge(world: World) -> None:
        broken.append(world.broken[0] if world.broken else "")

    # The runs after the first that breaks something only play it again
    with put_back(hole, stage), suppress(AssertionError, FlakyFailure):
        examples(stage, runs, seed, composes=partial(composed, hole), shrink=False, seen=judge, **hole.settings)
    stale = any(each not in stage.database.rewritten for each in hole.rewrites)
    first = next((n for n, what in enumerate(broken, 1) if what), None)
    return Find(hole, first, time.monotonic() - began, broken[first - 1] if first else "", stale)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--holes", type=int, nargs="*", help="their numbers; without: all")
    wanted = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    holes = [hole for hole in HOLES if not wanted.holes or hole.number in wanted.holes]
    finds = []
    with postgres_server() as url, stage_at(url) as stage:
        for hole in holes:
            find = look_for(stage, hole, wanted.seed, wanted.runs)
            finds.append(find)
            runs = "not found" if find.runs is None else f"run {find.runs}"
            stale = " (STALE: its statement is gone)" if find.stale else ""
            print(f"{hole.number:>2} {hole.name}: {runs}, {find.seconds:.0f} s{stale}  {find.what}", flush=True)
    found = sum(find.runs is not None for find in finds)
    if stale := [find.hole.number for find in finds if find.stale]:
        raise SystemExit(f"the core has changed, and what these put back is nothing: {stale}")
    print(f"{found} of {len(holes)} found within {wanted.runs} runs each, from seed {wanted.seed}")
    if not wanted.holes and found < WANTED:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
