"""Starts parts in batches, brings back those that die, stops the batches, the newest first, each all at once.

Nothing here knows what the parts are.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from config.settings import Settings
from launch.failures import LaunchError, StopRequested, refused
from launch.logs import in_words, keep_short, last_lines, size_of
from launch.parts import LaunchedPart
from launch.processes import end_together, how_it_ended
from launch.records import write_record
from launch.restarts import RestartBudget
from launch.stopping import StopClock

_LOOK_SECONDS = 0.1
_SLOW_LOOK_SECONDS = 10.0
_RECORDS = "addresses and pids"
_ROOM_BYTES = 16_000_000
"""A disk with less is full: the counters of one process take some megabytes."""

_QUOTED_LINES = 3
_QUOTED_CHARACTERS = 300
_LEAST_SECONDS = 2.0
"""What those that are asked last have at least, and whoever was asked beyond its own grace time."""


@dataclass
class _Running:
    part: LaunchedPart
    log_began: int
    """How long its log was before this process: what stands there is an earlier one's."""
    process: subprocess.Popen[bytes]
    budget: RestartBudget
    due: float | None = None
    """When to start it again, on the monotonic clock; None while it runs."""
    reminded_until: float | None = None
    """When one that was asked to start anew is forced to; None while nobody asked it."""
    waits_for_room: bool = False
    """Died too often while its disk was full: it is started again once there is room."""


class Supervisor:
    """One run of all parts. *processes* keeps their pids, so that the next start finds what a killed one left."""

    def __init__(self, settings: Settings, processes: Path, stop: StopClock) -> None:
        self._settings = settings
        self._processes = processes
        self._stop = stop
        self._running: dict[str, _Running] = {}
        self._batches: list[list[str]] = []
        self._next_look = 0.0
        self._refused: set[str] = set()
        """What the system refused when it was last tried: a full disk, as a rule."""

    def pids(self) -> dict[str, int]:
        return {name: running.process.pid for name, running in self._running.items()}

    def start(self, parts: Sequence[LaunchedPart]) -> None:
        """Starts *parts*, all at once; `wait` for those that are needed. Raises LaunchError, OSError."""
        batch: list[str] = []
        self._batches.append(batch)
        for part in parts:
            self._running[part.name] = _Running(part, size_of(part.log), self._started(part), self._budget())
            batch.append(part.name)
            self._record()

    def wait(self, parts: Sequence[LaunchedPart]) -> None:
        """Returns when all of *parts* are ready. Raises LaunchError (one died, or takes too long), StopRequested."""
        waiting = [self._running[part.name] for part in parts]
        deadline = time.monotonic() + self._settings.start_seconds
        while waiting := [running for running in waiting if not self._is_ready(running)]:
            if time.monotonic() > deadline:
                late = _account_of(waiting[0], f"not ready after {self._settings.start_seconds:g} s")
                raise LaunchError("; ".join([late, *_late_advice(waiting[0].part)]))
            time.sleep(_LOOK_SECONDS)

    def watch(self, on_change: Callable[[], None], say: Callable[[str], None]) -> None:
        """Brings back what dies, until the user asks to stop. Raises LaunchError when a part dies too often, and
        StopRequested; what the system refuses (no room, …) is told once and tried again."""
        while not self._stop.asked():
            for running in list(self._running.values()):
                self._look_after(running, on_change, say)
            if (now := time.monotonic()) >= self._next_look:
                self._next_look = now + _SLOW_LOOK_SECONDS
                self._look_after_files(on_change, say)
            time.sleep(_LOOK_SECONDS)

    def stop(self) -> None:
        """Ends all within STOP_SECONDS of the user's signal: what was started last is asked first, and what was started
        together, together.

        Whoever does not end in time is killed; a part's own grace time counts, even if STOP_SECONDS is less.
        """
        deadline = (self._stop.since or time.monotonic()) + self._settings.stop_seconds
        for number, batch in enumerate(reversed(self._batches), start=1):
            kept = _LEAST_SECONDS * (len(self._batches) - number)
            self._stop_together([self._running[name] for name in batch], deadline - kept)

    def _stop_together(self, batch: Sequence[_Running], deadline: float) -> None:
        grace = max((running.part.grace_seconds for running in batch), default=0.0)
        seconds = max(deadline - time.monotonic(), grace + _LEAST_SECONDS)
        end_together([(running.process, running.part.stop_signal) for running in batch], seconds)
        for running in batch:
            running.part.clear()

    def _is_ready(self, running: _Running) -> bool:
        if self._stop.asked():
            raise StopRequested
        for each in self._running.values():
            if (code := each.process.poll()) is not None:
                account = _account_of(each, f"ended while starting ({how_it_ended(code)})")
                raise LaunchError("; ".join([account, *each.part.advice]))
        try:
            with self._stop.interrupting():
                return running.part.ready(running.process.pid)
        except LaunchError as never:
            raise LaunchError("; ".join([str(never), *_late_advice(running.part)])) from None

    def _look_after(self, running: _Running, on_change: Callable[[], None], say: Callable[[str], None]) -> None:
        if running.due is None:
            self._look_whether_it_lives(running, say)
        elif time.monotonic() >= running.due:
            if running.waits_for_room and _is_full(running.part):
                running.due = time.monotonic() + self._settings.restart_pause_max_seconds
                return
            running.waits_for_room = False
            if not self._tried(running.part.name, lambda: self._bring_back(running), say):
                running.due = time.monotonic() + self._settings.restart_pause_max_seconds
                return
            say(f"{running.part.name} runs again (pid {running.process.pid})")
            self._write(on_change, say)

    def _look_whether_it_lives(self, running: _Running, say: Callable[[str], None]) -> None:
        if (code := running.process.poll()) is None:
            self._hasten(running)
            return
        pause = running.budget.next_pause(now := time.monotonic())
        if pause is None and _is_full(running.part):
            running.waits_for_room, running.budget, running.due = True, self._budget(), now
            say(f"{running.part.name} ended ({how_it_ended(code)}), and its disk is full: it starts when there is room")
            return
        if pause is None:
            often = f"died more than {running.budget.limit} times within {running.budget.window:g} s (RESTART_LIMIT)"
            raise LaunchError(_account_of(running, f"{often}, the last time with {how_it_ended(code)}"))
        running.due = now + pause
        say(f"{running.part.name} ended ({how_it_ended(code)}); starting it again")

    def _hasten(self, running: _Running) -> None:
        """One that is to end, and does not by itself."""
        if running.part.lingers(running.process.pid):
            running.process.send_signal(running.part.stop_signal)
        if running.reminded_until is not None and time.monotonic() >= running.reminded_until:
            running.process.kill()

    def _bring_back(self, running: _Running) -> None:
        running.log_began = size_of(running.part.log)
        running.process = self._started(running.part)
        running.due = running.reminded_until = None
        for name in running.part.reminded_by:
            reminder = self._running[name]
            if reminder.process.poll() is None:
                reminder.process.send_signal(reminder.part.stop_signal)
                reminder.reminded_until = time.monotonic() + self._settings.stop_seconds

    def _started(self, part: LaunchedPart) -> subprocess.Popen[bytes]:
        part.clear()
        if self._stop.asked():  # while it was cleared up
            raise StopRequested
        return part.start()

    def _look_after_files(self, on_change: Callable[[], None], say: Callable[[str], None]) -> None:
        for running in self._running.values():
            log = running.part.log
            self._tried(str(log), functools.partial(keep_short, log, self._settings.log_file_bytes), say)
        if _RECORDS in self._refused:
            self._write(on_change, say)

    def _write(self, on_change: Callable[[], None], say: Callable[[str], None]) -> None:
        def both() -> None:
            self._record()
            on_change()

        self._tried(_RECORDS, both, say)

    def _tried(self, what: str, work: Callable[[], None], say: Callable[[str], None]) -> bool:
        """Whether *work* could be done. That the system refuses it ends nothing: it passes, as a full disk does."""
        try:
            work()
        except OSError as error:
            if what not in self._refused:
                say(f"{what}: {refused(error)} (the system goes on, and tries again)")
            self._refused.add(what)
            return False
        self._refused.discard(what)
        return True

    def _budget(self) -> RestartBudget:
        settings = self._settings
        return RestartBudget(
            settings.restart_limit,
            settings.restart_window_seconds,
            settings.restart_pause_seconds,
            settings.restart_pause_max_seconds,
        )

    def _record(self) -> None:
        write_record(self._processes, self.pids().values())


def _is_full(part: LaunchedPart) -> bool:
    """Whether no part could run on the disk where this one writes: some die of it (SIGBUS in a file of counters)."""
    return shutil.disk_usage(part.log.parent).free < _ROOM_BYTES


def _late_advice(part: LaunchedPart) -> list[str]:
    return [*part.advice, *part.late_advice]


def _account_of(running: _Running, what: str) -> str:
    lines = [
        in_words(line)[:_QUOTED_CHARACTERS] for line in last_lines(running.part.log, _QUOTED_LINES, running.log_began)
    ]
    said = " / ".join(lines) or "nothing"
    return f"{running.part.name} {what}; it said last: {said} (more in {running.part.log})"
