"""What is measured, one module a question. Each gives comparisons; `ALL` is their order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from bench.comparison import Comparison
from bench.scenarios.growth import growth
from bench.scenarios.repeats import repeats
from bench.scenarios.streams import streams
from bench.scenarios.throughput import throughput
from bench.scenarios.turns import turns
from bench.scenarios.webhooks import webhooks
from bench.stage import BenchStage

Scenario = Callable[[BenchStage], Awaitable[list[Comparison]]]

ALL: dict[str, Scenario] = {
    "turns": turns,
    "streams": streams,
    "webhooks": webhooks,
    "repeats": repeats,
    "throughput": throughput,
    "growth": growth,
}
