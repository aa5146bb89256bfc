"""Tests that claim to need no other process cannot start one."""

from __future__ import annotations

import subprocess
import sys

import pytest

COMMAND = [sys.executable, "-c", "print('started')"]


def test_an_unmarked_test_may_not_start_a_process() -> None:
    with pytest.raises(RuntimeError, match=r"test_an_unmarked_test.* starts a process .*: mark it"):
        subprocess.run(COMMAND, check=True, timeout=30)


@pytest.mark.processes
def test_a_marked_one_may() -> None:
    assert subprocess.run(COMMAND, check=True, timeout=30, capture_output=True).stdout == b"started\n"
