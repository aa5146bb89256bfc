"""`make bench`: starts the program, measures, prints a table, writes `bench/results.json`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from random import Random

from bench.comparison import Comparison, Figure
from bench.floor import floor_at
from bench.machine import machine
from bench.report import RESULTS, Report
from bench.scenarios import ALL
from bench.slots import slots
from bench.stage import BenchStage, Sizes
from bench.starts import memory, second_starts, timed_start
from bench.subject import caller_of, program
from tests.system.running import Program

_STARTS = 3


def main() -> None:
    options = _options()
    surroundings = machine()
    with program() as subject:
        first = timed_start(subject)
        comparisons, taken = asyncio.run(_measured(subject, options))
        figures = [Figure("first start", first, "s"), *taken, *memory(subject)]
        if "starts" in options.only:
            comparisons.append(second_starts(subject, first, _STARTS))
    report = Report(comparisons, figures, surroundings, options.seed, options.scale)
    report.write()
    report.show()
    print(f"every number: {RESULTS}")


async def _measured(subject: Program, options: argparse.Namespace) -> tuple[list[Comparison], list[Figure]]:
    """All scenarios, one after the other, in one run of the program."""
    comparisons: list[Comparison] = []
    figures: list[Figure] = []
    async with caller_of(subject) as caller, floor_at(subject.addresses["temporal"]) as floor:
        sizes = Sizes().times(options.scale)
        stage = BenchStage(caller, floor, subject.addresses["perplexity"], sizes, Random(options.seed))
        for name, scenario in ALL.items():
            if name in options.only:
                print(f"measuring {name} …", file=sys.stderr, flush=True)
                comparisons += await scenario(stage)
        if "slots" in options.only:
            figures += await slots(subject, caller, sizes.slots)
    return comparisons, figures


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--scale", type=float, default=1.0, help="how much is measured (default 1; 0.2 is a quick look)"
    )
    parser.add_argument("--seed", type=int, default=20261123, help="of the order in which things are measured")
    names = [*ALL, "slots", "starts"]
    parser.add_argument(
        "--only", nargs="+", choices=names, default=names, metavar="NAME", help=f"of {', '.join(names)}"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
