"""`agent run` on machines as people have them: odd paths, other tools' variables, homes, locales, umasks and readers.

Several oddities share one start here; `test_odd_starts_each.py` (`make chaos`) has each by itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from tests.ports import free_port
from tests.support.waiting import LONGEST_SECONDS, START_SECONDS, until_blocking
from tests.system.odd_places import NAMES, OTHER_TOOLS, foreign_home, foreign_modules, under_umask
from tests.system.running import AGENT, KEY, Program


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """Open to PostgreSQL's account, as pytest's own temp folder is not for root."""
    with tempfile.TemporaryDirectory(prefix="agent-odd-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@pytest.fixture(scope="module")
def odd(place: Path) -> Iterator[Program]:
    """Everything at once: a path of signs, a neighbour's modules, profiles at home, a locale that is not UTF-8."""
    surroundings = {
        **OTHER_TOOLS,
        "HOME": str(foreign_home(place / "home")),
        "PYTHONPATH": str(foreign_modules(place / "others")),
        "LC_ALL": "C",
    }
    program = Program(place / NAMES["signs and letters"], surroundings)
    with under_umask(0o027):
        program.start()
    try:
        yield program
    finally:
        program.stop()


def test_a_message_is_answered(odd: Program) -> None:
    assert odd.insist("Hello", "m-1")["reply"]["text"]


def test_no_word_of_ours_was_lost_to_the_locale(odd: Program) -> None:
    said = next(odd.folder.parent.glob("*.out")).read_bytes().decode()

    assert "…" in said
    assert "Traceback" not in said


@pytest.mark.chaos
def test_a_copy_goes_into_a_bare_machine(odd: Program, place: Path) -> None:
    odd.insist("Hello", "m-1")
    copied = agent(odd.folder, "backup", str(place / "copy.dump"))
    assert copied.returncode == 0, copied.stderr

    with started_bare(place / NAMES["long"]) as (folder, address):
        restored = agent(folder, "restore", str(place / "copy.dump"))
        assert restored.returncode == 0, restored.stderr
        headers = {"Authorization": f"Bearer {KEY}"}
        turns = httpx2.get(f"{address}/api/session/c-1/turns", headers=headers, timeout=30).json()

    assert [turn["message_id"] for turn in turns] == ["m-1"]


def test_a_copy_put_back_loses_nothing_that_is_written_after_it(odd: Program, place: Path) -> None:
    odd.insist("Hello", "b-1", "c-2")
    agent(odd.folder, "backup", str(place / "earlier.dump"))
    odd.insist("Hello again", "b-2", "c-2")
    odd.insist("And again", "b-3", "c-2")

    restored = agent(odd.folder, "restore", str(place / "earlier.dump"))
    answered = [odd.insist("After", message, "c-2")["reply"]["text"] for message in ("b-4", "b-5")]

    assert restored.returncode == 0, restored.stderr
    assert all(answered)


def test_no_caller_hangs_after_a_copy_was_put_back_under_them(odd: Program, place: Path) -> None:
    customers = [f"r-{number}" for number in range(12)]
    with ThreadPoolExecutor(len(customers)) as callers:
        list(callers.map(lambda customer: odd.insist("Hello", f"{customer}-1", customer), customers))
        agent(odd.folder, "backup", str(place / "under-them.dump"))

        under_way = [callers.submit(odd.insist, "During", f"{each}-2", each) for each in customers]
        restored = agent(odd.folder, "restore", str(place / "under-them.dump"))
        answers = [call.result(LONGEST_SECONDS) for call in under_way]
        answers += callers.map(lambda each: odd.insist("After", f"{each}-3", each, 15), customers)

    assert restored.returncode == 0, restored.stderr
    assert all(answer["reply"]["text"] for answer in answers)


def test_a_copy_is_not_written_over_another(odd: Program, place: Path) -> None:
    (place / "there.dump").write_text("kept")

    done = agent(odd.folder, "backup", str(place / "there.dump"))

    assert done.returncode == 2
    assert "exists already" in done.stderr
    assert (place / "there.dump").read_text() == "kept"


def agent(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DATA_DIR": str(folder)}
    return subprocess.run([AGENT, *words], env=environment, capture_output=True, text=True, timeout=LONGEST_SECONDS)


class started_bare:
    """`env -i` with a PATH, a umask that closes everything, and a reader who leaves after the first line."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> tuple[Path, str]:
        ports = {name: str(free_port()) for name in ("PORT", "TEMPORAL_PORT", "TEMPORAL_UI_PORT")}
        environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(self._folder), "API_KEY": KEY, **ports}
        with under_umask(0o777):
            self._process = subprocess.Popen([AGENT, "run"], env=environment, stdout=subprocess.PIPE)
        assert self._process.stdout
        assert self._process.stdout.readline().startswith(b"Starting PostgreSQL")
        self._process.stdout.close()
        addresses = self._folder / "addresses.json"
        there, code = until_blocking(
            "addresses.json",
            lambda: (addresses.exists(), self._process.poll()),
            lambda seen: seen[0] or seen[1] is not None,
            seconds=START_SECONDS,
        )
        assert (there, code) == (True, None)
        return self._folder, str(json.loads(addresses.read_text())["api"])

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        assert self._process.wait(LONGEST_SECONDS) == 0
