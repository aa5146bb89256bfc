"""Measures the model test's power: how soon it finds each hole that is put back. `make power`.

Stops at each hole's first find, and prints after how many runs and from which seed it came.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from functools import partial

import structlog

from tests.model.holes import HOLES, Hole, composed
from tests.model.running import examples
from tests.model.stage import Stage, stage_at
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
    played, began = 0, time.monotonic()

    def count(_: object) -> None:
        nonlocal played
        played += 1

    stage.database.rewrites, stage.database.rewritten = hole.rewrites, set()
    found, what = False, ""
    try:
        examples(stage, runs, seed, composes=partial(composed, hole), shrink=False, seen=count, **hole.settings)
    except AssertionError as error:
        found, what = True, str(error).splitlines()[1]
    finally:
        stage.database.rewrites = ()
    stale = any(each not in stage.database.rewritten for each in hole.rewrites)
    return Find(hole, played if found else None, time.monotonic() - began, what, stale)


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
    print(f"{found} of {len(holes)} found within {wanted.runs} runs each, from seed {wanted.seed}")
    if not wanted.holes and found < WANTED:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
