"""A command's end: what it wrote is out, its exit code is its own, and no thread of a library holds it up."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.waiting import LONGEST_SECONDS

pytestmark = pytest.mark.processes

_STUCK = """
import sys, threading
sys.argv = ["agent", *sys.argv[1:]]
threading.Thread(target=threading.Event().wait).start()
from perplexity_agent.entry import main
main()
"""
"""`agent …` with a thread that never ends, which Python's own end waits for."""


@pytest.mark.parametrize(
    ("words", "code", "said"), [(["--help"], 0, "prompt-pack"), (["worker", "--slowly"], 2, "No such option")]
)
def test_a_thread_that_does_not_end_holds_no_command_up(words: list[str], code: int, said: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _STUCK, *words], capture_output=True, text=True, timeout=LONGEST_SECONDS
    )

    assert ended.returncode == code
    assert said in ended.stdout + ended.stderr
