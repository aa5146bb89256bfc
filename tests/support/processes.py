"""Which tests need other processes (marker `processes`): PostgreSQL, Temporal, a browser, the program, a child.

The others run as if on any day, clocks of the machine included (CONTRIBUTING.md). The marker comes from what a test
takes and where it stands; a test without it that starts a process all the same is refused there and then.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

FIXTURES = {"postgres_url", "temporal_address"}
FOLDERS = {"browser", "system"}
_STARTS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"}
_refused: list[str] = []
"""The test that may not start a process now, if there is one."""


def mark_processes(items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.relative_to(Path(__file__).parents[1]).parts[0]
        if folder in FOLDERS or FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("processes")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    if not item.get_closest_marker("processes"):
        _refused.append(item.nodeid)
    try:
        return (yield)
    finally:
        _refused.clear()


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event in _STARTS and _refused:
        raise RuntimeError(f"{_refused[-1]} starts a process ({event}): mark it with pytest.mark.processes")


sys.addaudithook(_watch)
