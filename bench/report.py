"""The results: one table for people, `bench/results.json` with every raw number for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from bench.comparison import Comparison, Figure, Round

RESULTS = Path(__file__).with_name("results.json")
_WIDTH = 160


@dataclass(frozen=True)
class Report:
    comparisons: Sequence[Comparison]
    figures: Sequence[Figure]
    machine: dict[str, Any]
    seed: int
    scale: float

    def show(self) -> None:
        """The tables, on standard output."""
        console = Console(width=_WIDTH, highlight=False)
        console.print(_comparisons(self.comparisons))
        console.print(_figures(self.figures))
        load = ", ".join(f"{number:.1f}" for number in self.machine["load_average"])
        console.print(f"seed {self.seed}, scale {self.scale:g}, {self.machine['cores']} cores, load at start {load}")

    def write(self) -> None:
        body = {
            "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "seed": self.seed,
            "scale": self.scale,
            "machine": self.machine,
            "comparisons": [comparison.as_json() for comparison in self.comparisons],
            "figures": [asdict(figure) for figure in self.figures],
        }
        RESULTS.write_text(json.dumps(body, indent=1) + "\n")


def _comparisons(comparisons: Sequence[Comparison]) -> Table:
    table = Table(box=box.HORIZONTALS, title="Measured in turns, within one run; medians of rounds (lowest … highest)")
    for name in ("", "measured", "against", "aim"):
        table.add_column(name)
    table.add_column("is", justify="right", style="bold")
    table.add_column("rounds", justify="right", no_wrap=True)
    table.add_column("medians", justify="right", no_wrap=True)
    for one in comparisons:
        low, high = one.spread()
        spread = f"{_number(one, low)} … {_number(one, high)}"
        table.add_row(one.name, one.measured, one.against, one.aim, _number(one, one.typical()), spread, _medians(one))
    return table


def _number(comparison: Comparison, value: float) -> str:
    return f"{value:.2f} ×" if comparison.relation == "ratio" else f"{value:.0f} ms"


def _medians(comparison: Comparison) -> str:
    """The two medians themselves, for the curious: they say more of the machine than of the program."""
    rounds: list[Round] = comparison.rounds
    pair = [median(n for one in rounds for n in numbers(one)) for numbers in (_measured, _against)]
    if comparison.unit == "s":
        return " : ".join(f"{1_000 * number:.0f} ms" for number in pair)
    return " : ".join(f"{number:.0f}/s" for number in pair)


def _measured(one: Round) -> Sequence[float]:
    return one.measured


def _against(one: Round) -> Sequence[float]:
    return one.against


def _figures(figures: Sequence[Figure]) -> Table:
    table = Table(box=box.HORIZONTALS, show_header=False)
    for figure in figures:
        table.add_row(figure.name, f"{figure.value:.1f} {figure.unit}")
    return table
