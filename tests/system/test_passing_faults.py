"""Faults that pass while six answers are under way: nothing stays occupied, all are answered within seconds of it.

On an empty machine an answer takes five seconds here, four of them the model's.
"""

from __future__ import annotations

import base64
import os
import random
import string
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from tests.ports import free_port
from tests.support.waiting import LONGEST_SECONDS, START_SECONDS, until_blocking
from tests.system.chaos_checks import check_zeros, record
from tests.system.running import AGENT, Program, running
from tests.system.small_disk import SmallDisk, small_disk

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]

CUSTOMERS = [f"c-{number}" for number in range(6)]
FAULT_SECONDS = 8.0
SOON_SECONDS = 20.0
LOST_STEP_SECONDS = 45.0
"""What Temporal handed out while it could not write is nobody's; it starts over after DATABASE_ACTIVITY_SECONDS."""
MEGABYTES = 420
SETTINGS = {
    "DISK_FREE_BYTES": "0",
    "SWEEP_AFTER_SECONDS": "10",
    "SWEEP_EVERY_SECONDS": "5",
    "TURN_HEARTBEAT_SECONDS": "15",
    "PERPLEXITY_BREAKER_OPEN_SECONDS": "5",  # how soon an end of the wrapper's absence is noticed
}
started = contextmanager(running)


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="agent-fault-", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o711)
        yield Path(place)


@pytest.fixture
def disk(folder: Path) -> Iterator[SmallDisk]:
    with small_disk(folder / "disk", MEGABYTES) as disk:
        if disk is None:
            pytest.skip("a tmpfs of its own needs root and the right to mount")
        yield disk


def reply_to(customer: str) -> str:
    """Of letters that nobody can make shorter."""
    return "".join(random.Random(customer).choices(string.ascii_letters, k=6_500))


def question_of(customer: str) -> str:
    return f"[[sim: reply=base64:{base64.b64encode(reply_to(customer).encode()).decode()} slow=4]]"


def ask_all(program: Program) -> list[Future[dict[str, Any]]]:
    """All six at once; each repeats its message until it is answered."""
    clients = ThreadPoolExecutor(len(CUSTOMERS))
    return [clients.submit(program.insist, question_of(one), "m-0", one, START_SECONDS) for one in CUSTOMERS]


def until_asked(perplexity: str) -> None:
    """Returns once all six questions are with the model."""
    url = f"{perplexity}/simulator/questions"
    until_blocking("six questions", lambda: httpx2.get(url).json(), lambda asked: len(asked) == len(CUSTOMERS))


async def check_all_answered_soon(
    program: Program, asked: list[Future[dict[str, Any]]], ended: float, soon: float = SOON_SECONDS
) -> None:
    """*ended*: when the fault had passed."""
    turns = [each.result(soon) for each in asked]
    took = time.monotonic() - ended
    print(f"all answered {took:.1f} s after the fault's end")
    assert [turn["reply"]["text"] for turn in turns] == [reply_to(one) for one in CUSTOMERS]
    assert took < soon
    assert [len(program.turns(one)) for one in CUSTOMERS] == [1] * len(CUSTOMERS)
    async with record(program) as connection:
        await check_zeros(connection)
        assert await connection.fetchval("SELECT count(*) FROM account_calls WHERE ended_at IS NULL") == 0
        assert await connection.fetchval("SELECT count(*) FROM account_places") == 0


def lasting(begin: Callable[[], object], end: Callable[[], object]) -> float:
    """When it had passed."""
    begin()
    time.sleep(FAULT_SECONDS)
    end()
    return time.monotonic()


async def test_a_disk_that_was_full_under_the_answers(disk: SmallDisk, folder: Path) -> None:
    with started(disk.folder / "data", **SETTINGS, TMPDIR=str(folder)) as program:
        asked = ask_all(program)
        until_asked(program.addresses["perplexity"])

        ended = lasting(disk.fill, disk.empty)

        await check_all_answered_soon(program, asked, ended)


async def test_a_disk_that_was_full_before_the_questions(disk: SmallDisk, folder: Path) -> None:
    with started(disk.folder / "data", **SETTINGS, TMPDIR=str(folder)) as program:
        asked = ask_all(program)

        ended = lasting(disk.fill, disk.empty)

        await check_all_answered_soon(program, asked, ended, LOST_STEP_SECONDS)


async def test_a_database_that_was_lost(folder: Path) -> None:
    with started(folder / "data", **SETTINGS) as program:
        asked = ask_all(program)
        until_asked(program.addresses["perplexity"])
        server = program.part("postgres")
        frozen = [server, *server.children(recursive=True)]

        lasting(lambda: [each.suspend() for each in frozen], lambda: program.kill("postgres"))
        for each in frozen[1:]:
            each.resume()
        program.until_back("postgres")

        await check_all_answered_soon(program, asked, time.monotonic())


class Upstream:
    """A simulator of its own, for the program's own one is started again at once."""

    def __init__(self, folder: Path) -> None:
        self._command = [AGENT, "simulator", "--state-folder", str(folder), "--port", str(port := free_port())]
        self._log = folder.with_suffix(".out")
        self.url = f"http://127.0.0.1:{port}"
        self.start()

    def start(self) -> None:
        """Returns once it answers."""
        environment = {**os.environ, "SIMULATOR_PACE": "0.1"}
        with self._log.open("ab") as sink:
            self._process = subprocess.Popen(self._command, stdout=sink, stderr=subprocess.STDOUT, env=environment)
        until_blocking("a simulator", self._health, lambda health: health == "200", seconds=LONGEST_SECONDS)

    def kill(self) -> None:
        self._process.kill()
        psutil.wait_procs([self._process], 10)

    def _health(self) -> str:
        try:
            return str(httpx2.get(f"{self.url}/health").status_code)
        except httpx2.TransportError as error:
            return repr(error)


@pytest.fixture
def upstream(folder: Path) -> Iterator[Upstream]:
    upstream = Upstream(folder / "simulator")
    yield upstream
    upstream.kill()


async def test_an_upstream_that_was_away(folder: Path, upstream: Upstream) -> None:
    with started(folder / "data", **SETTINGS, PERPLEXITY_BASE_URL=upstream.url) as program:
        asked = ask_all(program)
        until_asked(upstream.url)

        ended = lasting(upstream.kill, upstream.start)

        await check_all_answered_soon(program, asked, ended)
