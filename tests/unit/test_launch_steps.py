"""Programs that run once during the start: out of Ctrl-C's reach, ended with their children when asked to stop."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from launch.failures import StopRequested
from launch.steps import run_step
from tests.support.waiting import until_blocking

pytestmark = pytest.mark.processes

STUBBORN = """
import pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
pathlib.Path(sys.argv[1]).write_text(str(child.pid))
time.sleep(60)
"""


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


def never() -> bool:
    return False


def written(path: Path) -> Callable[[], bool]:
    return lambda: path.exists() and bool(path.read_text())


def test_what_it_said_and_how_it_ended(tmp_path: Path) -> None:
    (log := tmp_path / "step.log").write_text("of an earlier run")

    done = run_step(
        python("import sys; print('out', flush=True); print('ü', file=sys.stderr); sys.exit(3)"),
        log=log,
        seconds=20,
        stop_asked=never,
        environment={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )

    assert (done.code, done.said) == (3, "out\nü\n")
    assert log.read_text(encoding="utf-8") == done.said


def test_it_has_a_session_of_its_own(tmp_path: Path) -> None:
    code = python("import os; print(os.getsid(0))")

    done = run_step(code, log=tmp_path / "step.log", seconds=20, stop_asked=never)

    assert int(done.said) != os.getsid(0)


def test_asked_to_stop_nothing_of_it_is_left(tmp_path: Path) -> None:
    note = tmp_path / "child"

    with pytest.raises(StopRequested):
        run_step(python(STUBBORN, str(note)), log=tmp_path / "step.log", seconds=30, stop_asked=written(note))

    child = int(note.read_text())
    until_blocking("its child's end", lambda: _status(child), lambda status: status in {"gone", psutil.STATUS_ZOMBIE})


def _status(pid: int) -> str:
    try:
        return str(psutil.Process(pid).status())
    except psutil.NoSuchProcess:
        return "gone"


def test_one_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError):
        run_step(python("import time; time.sleep(60)"), log=tmp_path / "step.log", seconds=0.2, stop_asked=never)


def test_a_launcher_that_is_killed_leaves_nothing_beside_the_log(tmp_path: Path) -> None:
    (temporary := tmp_path / "tmp").mkdir()
    log = tmp_path / "step.log"
    step = "[sys.executable, '-c', \"import time; print('begun', flush=True); time.sleep(60)\"]"
    code = f"""
import sys
from pathlib import Path
from launch.steps import run_step
run_step({step}, log=Path({str(log)!r}), seconds=60, stop_asked=lambda: False)
"""
    environment = {**os.environ, "TMPDIR": str(temporary)}
    with subprocess.Popen(python(code), cwd=Path(__file__).parents[2], env=environment) as launcher:
        until_blocking("a step that has begun", lambda: log.exists() and log.read_text())

        launcher.kill()

    assert list(temporary.iterdir()) == []
