"""Nothing that the launcher waits for holds up an asked end, and STOP_SECONDS count from the first signal."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from config.settings import Settings
from launch.failures import StopRequested
from launch.parts import LaunchedPart
from launch.probes import answers
from launch.processes import end_orphans, spawn
from launch.stopping import StopClock
from launch.supervisor import Supervisor
from tests.support.waiting import until_blocking

pytestmark = pytest.mark.processes

SOON = 3.0
"""Seconds; each wait below is meant to take much longer."""
WILLING = "import time; print('started', flush=True); time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {WILLING}"


@pytest.fixture
def clock() -> Iterator[StopClock]:
    """One that hears this process's signals."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    kept = {number: signal.getsignal(number) for number in numbers}
    clock = StopClock()
    clock.listen()
    yield clock
    for number, handler in kept.items():
        signal.signal(number, handler)


def part(folder: Path, name: str, code: str, *reminds: str, clear: Callable[[], None] = lambda: None) -> LaunchedPart:
    log = folder / f"{name}.log"
    return LaunchedPart(
        name,
        log,
        lambda: spawn([sys.executable, "-c", code], log=log, environment=os.environ),
        lambda _pid: log.exists() and "started" in log.read_text(),
        reminded_by=reminds,
        clear=clear,
    )


def supervisor(folder: Path, clock: StopClock, stop_seconds: float) -> Supervisor:
    settings = Settings(_env_file=None, stop_seconds=stop_seconds)  # type: ignore[call-arg]
    return Supervisor(settings, folder / "processes.json", clock)


def asked_in(seconds: float) -> None:
    threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGTERM)).start()


def seconds_of(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def test_a_look_at_a_frozen_part_is_broken_off(tmp_path: Path, clock: StopClock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent_one = part(tmp_path, "a", WILLING)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/readyz"
        frozen = LaunchedPart("a", silent_one.log, silent_one.start, lambda _pid: answers(url))
        parts = supervisor(tmp_path, clock, 20)
        parts.start([frozen])
        asked_in(0.5)

        with pytest.raises(StopRequested):
            parts.wait([frozen])

    assert clock.since is not None
    assert time.monotonic() - clock.since < SOON
    parts.stop()


def test_the_time_before_the_stop_counts(tmp_path: Path) -> None:
    clock = StopClock()
    parts = supervisor(tmp_path, clock, 20)
    parts.start([stubborn := part(tmp_path, "a", STUBBORN)])
    parts.wait([stubborn])
    clock.since = time.monotonic() - 20  # the signal came so long ago

    assert seconds_of(parts.stop) < SOON


def test_a_stop_clears_what_each_part_has_left(tmp_path: Path) -> None:
    cleared: list[str] = []
    parts = supervisor(tmp_path, StopClock(), 20)
    parts.start([part(tmp_path, "a", WILLING, clear=lambda: cleared.append("a"))])
    before = len(cleared)

    parts.stop()

    assert (before, len(cleared)) == (1, 2)


def test_asked_while_something_is_cleared_it_is_not_started(tmp_path: Path) -> None:
    clock = StopClock()
    parts = supervisor(tmp_path, clock, 20)

    def slow() -> None:
        clock.since = time.monotonic()

    with pytest.raises(StopRequested):
        parts.start([part(tmp_path, "a", WILLING, clear=slow)])

    assert parts.pids() == {}


def killed_once(parts: Supervisor, clock: StopClock, until: str) -> list[str]:
    """What is said from the death of `a` until *until* is said, when the end is asked for."""
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        if text.startswith(until):
            clock.since = time.monotonic()

    os.kill(parts.pids()["a"], signal.SIGKILL)
    parts.watch(lambda: None, say)
    return said


def test_one_that_is_asked_to_start_anew_holds_up_nobody(tmp_path: Path) -> None:
    clock = StopClock()
    parts = supervisor(tmp_path, clock, 20)
    parts.start(both := [part(tmp_path, "a", WILLING, "b"), part(tmp_path, "b", STUBBORN)])
    parts.wait(both)

    took = seconds_of(lambda: killed_once(parts, clock, "a runs again"))

    assert took < SOON
    clock.since = time.monotonic() - 20
    parts.stop()


def test_one_that_does_not_start_anew_is_forced_to(tmp_path: Path) -> None:
    clock = StopClock()
    parts = supervisor(tmp_path, clock, 1)
    parts.start(both := [part(tmp_path, "a", WILLING, "b"), part(tmp_path, "b", STUBBORN)])
    parts.wait(both)

    said = killed_once(parts, clock, "b runs again")

    assert said[0] == "a ended (SIGKILL); starting it again"
    assert "b ended (SIGKILL); starting it again" in said
    parts.stop()


def test_orphans_are_not_waited_for_once_the_end_is_asked_for(tmp_path: Path, clock: StopClock) -> None:
    log = tmp_path / "log"
    process = spawn([sys.executable, "-c", STUBBORN], log=log, environment=os.environ)
    until_blocking("a process that is deaf to SIGTERM", log.read_text)
    asked_in(0.3)

    took = seconds_of(lambda: end_orphans([psutil.Process(process.pid)], signal.SIGTERM, 25, 2, clock.asked))

    assert took < SOON
    assert process.wait(5) == -signal.SIGKILL
