"""Measures the model test's power: how soon it finds each hole that is put back. `make power`.

Stops at each hole's first find. With --results each find is kept as it comes, and a run that was ended goes on where
it was. The table says after how many runs, and from which seed, each hole was found.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from hypothesis.errors import FlakyFailure

from tests.model.holes import HOLES, composed, put_back
from tests.model.many import PROCESSES, in_processes
from tests.model.running import examples
from tests.model.stage import Stage
from tests.model.world import World
from tests.servers import postgres_server

RUNS = 1_000
WANTED = 16
REVIEWED = 18
"""So many holes the review proved; what is numbered from 101 is beside them."""


@dataclass(frozen=True)
class Find:
    """*run*: the one that found the hole, of *runs* at most; None: none did. *stale*: what the hole rewrites is in the
    core no more. *commit*: of the code that was played."""

    hole: int
    seed: int
    runs: int
    commit: str
    run: int | None
    seconds: int
    what: str
    stale: bool

    def __str__(self) -> str:
        name = next(hole.name for hole in HOLES if hole.number == self.hole)
        found = "not found" if self.run is None else f"run {self.run}"
        stale = " (STALE: its statement is gone)" if self.stale else ""
        return f"{self.hole:>3}  {name:<62} {found:>9}  seed {self.seed}  {self.seconds:>4} s{stale}  {self.what}"


def look_for(stage: Stage, number: int, seed: int, runs: int, commit: str) -> Find:
    """Plays until the hole is found."""
    hole = next(hole for hole in HOLES if hole.number == number)
    broken, began, trouble = list[str](), time.monotonic(), ""

    def judge(world: World) -> None:
        broken.append(world.broken[0] if world.broken else "")

    try:  # the runs after the first that breaks something only play it again
        with put_back(hole, stage), suppress(AssertionError, FlakyFailure):
            examples(stage, runs, seed, composes=partial(composed, hole), shrink=False, seen=judge, **hole.settings)
    except Exception as error:  # not a promise broke, but the test: that is no find, and ends no other's search
        trouble = f"the test broke: {type(error).__name__}: {error}"
    stale = any(each not in stage.database.rewritten for each in hole.rewrites)
    first = next((n for n, what in enumerate(broken, 1) if what), None)
    what = broken[first - 1] if first else trouble
    return Find(number, seed, runs, commit, first, round(time.monotonic() - began), what[:80], stale)


def main() -> None:
    wanted = _wanted()
    commit = _commit()
    known = [find for find in _kept(wanted.results) if _is_of(find, wanted, commit)]
    left = [number for number in wanted.holes if number not in {find.hole for find in known}]
    finds = {find.hole: find for find in known}
    with postgres_server() as url:
        tasks = [(number, wanted.seed, wanted.runs, commit) for number in left]
        for find in in_processes(url, look_for, tasks, wanted.processes):
            finds[find.hole] = find
            _keep(wanted.results, find)
            print(find, flush=True)
    _tell([finds[number] for number in sorted(wanted.holes)], wanted.runs)


def _tell(finds: list[Find], runs: int) -> None:
    print(f"\nAs of {finds[0].commit}:", *finds, sep="\n")
    found = sum(find.run is not None for find in finds if find.hole <= REVIEWED)
    print(f"{found} of the review's {REVIEWED} found within {runs} runs each")
    if stale := [find.hole for find in finds if find.stale]:
        raise SystemExit(f"the core has changed, and what these put back is nothing: {stale}")
    if len(finds) == len(HOLES) and found < WANTED:
        raise SystemExit(1)


def _wanted() -> argparse.Namespace:
    numbers = [hole.number for hole in HOLES]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--processes", type=int, default=PROCESSES)
    parser.add_argument("--results", type=Path, help="a file that keeps each find: what it has is not looked for again")
    parser.add_argument("--holes", type=int, nargs="+", default=numbers, choices=numbers, help="in this order")
    return parser.parse_args()


def _commit() -> str:
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False, timeout=30
    )
    return said.stdout.strip() or "unknown"


def _is_of(find: Find, wanted: argparse.Namespace, commit: str) -> bool:
    return (find.seed, find.runs, find.commit) == (wanted.seed, wanted.runs, commit) and find.hole in wanted.holes


def _kept(results: Path | None) -> Iterable[Find]:
    if results is not None and results.exists():
        for line in results.read_text().splitlines():
            yield Find(**json.loads(line))


def _keep(results: Path | None, find: Find) -> None:
    if results is not None:
        with results.open("a") as lines:
            lines.write(f"{json.dumps(asdict(find))}\n")


if __name__ == "__main__":
    main()
