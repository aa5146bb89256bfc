"""Tests that build times hold on another day, too; CONTRIBUTING.md says how all of them are run on others."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime, timedelta

import pytest

from tests.support.clock import BEGAN, NOW, SETTING
from tests.support.sources import ROOT, modules_of_tests, reached
from tests.support.waiting import START_SECONDS

pytestmark = pytest.mark.processes

CLOCK = "tests/support/clock.py"
SHIFT = timedelta(days=400)
LATER = f"+{SHIFT.days}d"
THIS = "tests/unit/test_shifted.py"
WITHOUT = "not processes and not hypothesis"
"""The eleven property tests take four fifths of the time, too long on a busy machine: CONTRIBUTING.md's loop over
TEST_NOW runs them on other days."""


def _build_times() -> list[str]:
    """Every worker imports this module, one runs its tests: the project is read when they ask."""
    return sorted(
        module.path
        for module in modules_of_tests()
        if module.path.startswith("tests/unit/test_") and CLOCK in {each.path for each in reached(module)}
        if module.path != THIS
    )


def _run(by: str, *command: str) -> subprocess.CompletedProcess[str]:
    shifted = {name: value for name, value in os.environ.items() if name != BEGAN} | {SETTING: by}
    python = [sys.executable, *command]
    return subprocess.run(python, cwd=ROOT, env=shifted, capture_output=True, text=True, timeout=START_SECONDS)


def test_the_setting_moves_the_clock_of_a_run() -> None:
    command = ("-c", "from tests.support.clock import NOW; print(NOW.isoformat())")

    today, then = (datetime.fromisoformat(_run(by, *command).stdout.strip()) for by in ("", LATER))

    assert abs(today + SHIFT - then) < timedelta(minutes=5)


def test_those_that_build_times_are_found() -> None:
    assert {"tests/unit/test_whatsapp_contents.py", "tests/unit/test_whatsapp_webhook.py"} <= set(_build_times())


def test_what_builds_times_holds_on_another_day() -> None:
    done = _run(LATER, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", WITHOUT, *_build_times())

    assert done.returncode == 0, done.stdout[-3_000:]
    assert " passed" in done.stdout


def test_every_process_of_a_run_has_the_same_beginning() -> None:
    """The names of tests may hold it, and pytest-xdist refuses workers that collect different ones."""
    done = subprocess.run(
        [sys.executable, "-c", "from tests.support.clock import NOW; print(NOW.isoformat())"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
    )

    assert datetime.fromisoformat(done.stdout.strip()) == NOW
