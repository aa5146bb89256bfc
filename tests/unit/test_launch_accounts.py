"""What is told of a part that ends while starting, or does not become ready: its own words, and what to do."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from config.settings import Settings
from launch.addresses import addresses_of
from launch.failures import LaunchError
from launch.folder import DataFolder
from launch.keys import Keys
from launch.parts import LaunchContext, LaunchedPart, programs, servers
from launch.ports import Ports
from launch.processes import spawn
from launch.stopping import StopClock
from launch.supervisor import Supervisor
from tests.support.waiting import LONGEST_SECONDS

DIES = "print('FATAL: of this run'); raise SystemExit(3)"
LASTS = "import time; time.sleep(60)"


def failure(folder: Path, code: str, ready: Callable[[int], bool], seconds: float = LONGEST_SECONDS) -> str:
    """The line for a part that runs *code*."""
    log = folder / "a.log"
    log.write_text("LOG: of the run before\n")
    part = LaunchedPart(
        "a",
        log,
        lambda: spawn([sys.executable, "-c", code], log=log, environment=os.environ),
        ready,
        advice=("move its file",),
        late_advice=("or Temporal's",),
    )
    settings = Settings(_env_file=None, start_seconds=seconds)  # type: ignore[call-arg]
    parts = Supervisor(settings, folder / "processes.json", StopClock())
    parts.start([part])
    try:
        with pytest.raises(LaunchError) as failed:
            parts.wait([part])
    finally:
        parts.stop()
    return str(failed.value)


@pytest.mark.processes
def test_one_that_ends_is_told_in_words_of_this_run(tmp_path: Path) -> None:
    line = failure(tmp_path, DIES, lambda _pid: False)

    assert line.endswith(f"it said last: FATAL: of this run (more in {tmp_path / 'a.log'}); move its file")


@pytest.mark.processes
def test_one_that_is_not_ready_in_time(tmp_path: Path) -> None:
    line = failure(tmp_path, LASTS, lambda _pid: False, seconds=1)

    assert line.startswith("a not ready after 1 s; it said last: nothing (more in ")
    assert line.endswith("; move its file; or Temporal's")


@pytest.mark.processes
def test_one_that_will_never_be_ready(tmp_path: Path) -> None:
    def ready(_pid: int) -> bool:
        raise LaunchError("no such namespace")

    assert failure(tmp_path, LASTS, ready) == "no such namespace; move its file; or Temporal's"


@pytest.mark.parametrize("earlier", [True, False])
def test_an_earlier_file_of_temporals_is_named_to_whoever_waits_for_temporal(tmp_path: Path, earlier: bool) -> None:
    settings = Settings(_env_file=None, database_url="postgresql:///x")  # type: ignore[call-arg]
    keys = Keys("a", "s", "t", "m", True, "p", "v")
    ports = Ports(api=1, temporal=2, temporal_ui=3, simulator=4, whatsapp=5)
    addresses = addresses_of(settings, ports, keys, "postgresql:///x")
    around = LaunchContext(
        settings, DataFolder(tmp_path, tmp_path), ports, keys, addresses, lambda: False, earlier_temporal=earlier
    )

    said = {
        part.name: " ".join((*part.advice, *part.late_advice)) for part in (*servers(around, None), *programs(around))
    }

    advised = {name for name, advice in said.items() if f"move {tmp_path / 'temporal.sqlite'} aside" in advice}
    assert advised == ({"temporal", "worker", "api"} if earlier else set())
