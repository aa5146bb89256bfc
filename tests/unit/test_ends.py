"""A command's end: what it wrote is out, its exit code is its own, and no thread of a library holds it up."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

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


_ASKED = """
import os, signal, sys
sys.argv = ["agent", "run"]
from perplexity_agent.streams import open_what_is_closed
from perplexity_agent.ends import end_when_asked
open_what_is_closed()
end_when_asked()
opened = os.open(sys.argv[0], os.O_WRONLY | os.O_CREAT)
os.kill(os.getpid(), signal.SIGTERM)
"""
"""`agent run` that is asked to end while a file of its own is open."""


def with_closed(
    closed: str, folder: Path, code: str, *words: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """*code* in *folder*, as a shell starts it that closes some of its streams, or leads them elsewhere."""
    command = shlex.join([sys.executable, "-c", code, *words])
    return subprocess.run(
        ["sh", "-c", f"exec {command} {closed}"],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
    )


@pytest.mark.parametrize(
    ("closed", "words", "code"), [(">&-", ["--help"], 0), ("<&- >&- 2>&-", ["worker", "--slowly"], 2)]
)
def test_closed_streams_change_no_end(tmp_path: Path, closed: str, words: list[str], code: int) -> None:
    ended = with_closed(closed, tmp_path, _STUCK, *words)

    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr


_WRITES = "import sys; from perplexity_agent.ends import leave; sys.argv = ['agent', 'key']; print('a key'); leave(0)"
"""A command whose words are all in Python's buffer when it ends."""
_FULL = "the output could not be written: No space left on device\n"


@pytest.mark.parametrize("buffered", ["", "1"])
@pytest.mark.parametrize("word", ["--help", "doctor"])
def test_a_full_output_is_a_failure_told_in_one_line(tmp_path: Path, word: str, buffered: str) -> None:
    ended = with_closed("> /dev/full", tmp_path, _STUCK, word, PYTHONUNBUFFERED=buffered)

    assert (ended.returncode, ended.stderr) == (1, f"agent {word}: {_FULL}")


def test_what_a_command_leaves_for_its_end_to_write_is_missed_too(tmp_path: Path) -> None:
    ended = with_closed("> /dev/full", tmp_path, _WRITES, PYTHONUNBUFFERED="")

    assert (ended.returncode, ended.stderr) == (1, f"agent key: {_FULL}")


def test_a_reader_who_has_read_enough_is_told_nothing() -> None:
    """As `agent … | head -1`."""
    reads, writes = os.pipe()
    os.close(reads)
    command, environment = [sys.executable, "-c", _WRITES], os.environ | {"PYTHONUNBUFFERED": ""}
    with os.fdopen(writes) as nobody:
        ended = subprocess.run(
            command, stdout=nobody, stderr=subprocess.PIPE, env=environment, text=True, timeout=LONGEST_SECONDS
        )

    assert (ended.returncode, ended.stderr) == (1, "")


def test_where_nobody_reads_why_the_exit_code_says_it(tmp_path: Path) -> None:
    assert with_closed("2> /dev/full", tmp_path, _WRITES.replace("leave(0)", "leave('why')")).returncode == 1


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_an_asked_end_writes_into_no_other_file(tmp_path: Path, closed: str) -> None:
    ended = with_closed(closed, tmp_path, _ASKED)

    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "agent").read_bytes() == b""


_IMPORTING = """
import os, signal, sys
number, sys.argv = signal.Signals[sys.argv[2]], ["agent", sys.argv[1]]
# as in a terminal, however the tests were started
signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)
from perplexity_agent.ends import end_when_asked
end_when_asked()
try:
    os.kill(os.getpid(), number)
except KeyboardInterrupt:
    raise ImportError("a library's line") from None
"""
"""`agent …` that is asked to end before its command has begun."""


@pytest.mark.parametrize(
    ("command", "number", "code"),
    [
        ("doctor", "SIGINT", 130),
        ("migrate", "SIGINT", 130),
        ("backup", "SIGINT", 130),
        ("run", "SIGINT", 0),
        ("run", "SIGHUP", 0),
        ("worker", "SIGINT", 0),
    ],
)
def test_asked_while_libraries_are_imported(tmp_path: Path, command: str, number: str, code: int) -> None:
    ended = with_closed("", tmp_path, _IMPORTING, command, number)

    assert (ended.returncode, ended.stderr) == (code, "")


def test_a_full_disk_for_the_last_word_changes_no_end(tmp_path: Path) -> None:
    ended = with_closed(">/dev/full", tmp_path, _IMPORTING, "run", "SIGTERM")

    assert (ended.returncode, ended.stderr) == (0, "")
