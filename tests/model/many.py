"""Many examples in several processes at once, each on a database of its own: so both cores of a machine play.

A task is a function and plain values; it gets its process's stage, and its result comes back as it ends.
"""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog

from tests.model.report import Met
from tests.model.running import examples
from tests.model.stage import Stage, stage_at
from tests.model.world import World

T = TypeVar("T")

PROCESSES = 2

_OPEN = ExitStack()
"""What this process keeps open until it ends."""


def in_processes(
    postgres_url: str, does: Callable[..., T], tasks: Sequence[tuple[Any, ...]], processes: int = PROCESSES
) -> Iterator[T]:
    """What *does* returns for each of *tasks*, as they end; the first begin first."""
    with ProcessPoolExecutor(
        processes, multiprocessing.get_context("spawn"), initializer=_open, initargs=(postgres_url,)
    ) as pool:
        under_way: list[Future[T]] = [pool.submit(_on_stage, does, *task) for task in tasks]
        for each in as_completed(under_way):
            yield each.result(timeout=0)  # it is there


@dataclass
class Seen:
    """What examples came to see. `failed`: what the first that broke a promise did, with its script."""

    met: Met = field(default_factory=Met)
    states: set[str] = field(default_factory=set)
    played: int = 0
    failed: str = ""


def seen_in(stage: Stage, seed: int, runs: int) -> Seen:
    """Of so many examples from a seed, or until one breaks a promise."""
    seen = Seen()

    def add(world: World) -> None:
        seen.met.update(world.met)
        seen.states.update(world.states)

    try:
        seen.played = examples(stage, runs, seed, seen=add)
    except Exception as broken:
        seen.failed = f"from seed {seed}:\n{''.join(traceback.format_exception(broken))}"
    return seen


def _open(postgres_url: str) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    _STAGES.append(_OPEN.enter_context(stage_at(postgres_url)))
    multiprocessing.util.Finalize(None, _OPEN.close, exitpriority=10)


_STAGES: list[Stage] = []


def _on_stage(does: Callable[..., T], *values: Any) -> T:
    return does(_STAGES[0], *values)
