"""A disk without room while the system runs: what cannot be written is told once, and the parts go on."""

from __future__ import annotations

import errno
import os
import resource
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from config.settings import Settings
from launch.failures import refused
from launch.files import read_json, write_json
from launch.logs import keep_short
from launch.parts import LaunchedPart
from launch.processes import spawn
from launch.stopping import StopClock
from launch.supervisor import Supervisor
from tests.support.waiting import LONGEST_SECONDS, until_blocking

LASTS = "import time; time.sleep(60)"


@contextmanager
def no_room_beyond(size: int) -> Iterator[None]:
    """No file of this process grows beyond *size* bytes: the system refuses it as it does on a full disk (EFBIG)."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_log_that_cannot_be_moved_aside_is_not_lost_and_nor_is_the_old_one(tmp_path: Path) -> None:
    (log := tmp_path / "api.log").write_text("x" * 50_000)
    (old := tmp_path / "api.old.log").write_text("before")

    with no_room_beyond(20_000), pytest.raises(OSError, match="File too large"):
        keep_short(log, 10_000)

    assert (log.stat().st_size, old.read_text()) == (50_000, "before")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["api.log", "api.old.log"]


def test_what_cannot_be_written_is_told_with_its_path_and_stays_as_it_was(tmp_path: Path) -> None:
    write_json(path := tmp_path / "addresses.json", {"api": "before"})

    with no_room_beyond(1_000), pytest.raises(OSError, match="File too large") as failed:
        write_json(path, {"api": "x" * 5_000})

    assert failed.value.errno == errno.EFBIG
    assert refused(failed.value).startswith(f"{path} cannot be written (File too large); make room")
    assert read_json(path) == {"api": "before"}
    assert [each.name for each in tmp_path.iterdir()] == ["addresses.json"]


class Watched:
    """A supervisor that watches one part; *said*: its lines."""

    def __init__(self, folder: Path, log: Path) -> None:
        self.stop, self.said, self.failures = StopClock(), list[str](), list[BaseException]()
        settings = Settings(_env_file=None, log_file_bytes=10_000, restart_pause_max_seconds=0.2)  # type: ignore[call-arg]
        self.parts = Supervisor(settings, folder / "processes.json", self.stop)
        command = [sys.executable, "-c", LASTS]
        self.parts.start([LaunchedPart("a", log, lambda: spawn(command, log=log, environment=os.environ), bool)])
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        try:
            self.parts.watch(lambda: None, self.said.append)
        except BaseException as error:
            self.failures.append(error)

    def kill(self) -> int:
        os.kill(pid := self.parts.pids()["a"], signal.SIGKILL)
        return pid

    def end(self) -> None:
        self.stop.since = 0.0
        self._thread.join(LONGEST_SECONDS)
        self.parts.stop()


@pytest.fixture
def records(tmp_path: Path) -> Path:
    (folder := tmp_path / "data").mkdir()
    return folder


@pytest.fixture
def watched(tmp_path: Path, records: Path) -> Iterator[Watched]:
    (logs := tmp_path / "logs").mkdir()
    watched = Watched(records, logs / "a.log")
    yield watched
    watched.end()


@pytest.mark.processes
def test_a_part_comes_back_though_its_pid_cannot_be_written_down(records: Path, watched: Watched) -> None:
    (records / "processes.json").unlink()
    records.rmdir()
    before = watched.kill()

    until_blocking("a new process", lambda: watched.parts.pids()["a"], lambda pid: pid != before)
    until_blocking("a line about it", lambda: watched.said[2:], bool)

    assert watched.failures == []
    assert f"{records}/processes.json cannot be used (No such file or directory)" in watched.said[2]


@pytest.mark.processes
def test_a_part_that_cannot_be_started_now_is_started_later(tmp_path: Path, watched: Watched) -> None:
    aside = (tmp_path / "logs").rename(tmp_path / "aside")
    before = watched.kill()

    until_blocking("a line about it", lambda: watched.said[1:], bool)
    assert f"{tmp_path}/logs/a.log cannot be used (No such file or directory)" in watched.said[1]
    aside.rename(tmp_path / "logs")
    until_blocking("a new process", lambda: watched.parts.pids()["a"], lambda pid: pid != before)

    assert watched.failures == []
