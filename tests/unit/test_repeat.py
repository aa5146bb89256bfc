"""`make repeat` runs pytest by its interpreter, so it works in a checkout whose path no first line can hold."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.waiting import LONGEST_SECONDS

pytestmark = pytest.mark.processes

REPEAT = Path(__file__).parents[2] / "tools" / "repeat.py"


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """An environment without scripts: one of pytest's there could have an interpreter's path with a blank in it."""
    (tmp_path / "a b" / "bin").mkdir(parents=True)
    for name in ("pyvenv.cfg", "lib"):
        (tmp_path / "a b" / name).symlink_to(Path(sys.prefix) / name)
    python = tmp_path / "a b" / "bin" / "python"
    python.symlink_to(sys.executable)
    return python


def test_it_says_how_each_run_ended(tmp_path: Path, python: Path) -> None:
    (test := tmp_path / "test_it.py").write_text("def test_it() -> None:\n    assert True\n")
    command = [python, REPEAT, "1", test, "-p", "no:cacheprovider", "--rootdir", tmp_path, "-c", "/dev/null"]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # they take seconds on a busy machine

    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=LONGEST_SECONDS
    )

    assert done.returncode == 0, done.stderr
    assert "run 1: exit code 0 after" in done.stdout
    assert "1 runs, 0 failed" in done.stdout
