"""SIGTERM and Ctrl-C, once and twice, at any moment: all is gone in time, with exit code 0."""

from __future__ import annotations

import operator
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.support.waiting import until_blocking
from tests.system.running import Program
from tests.system.stopping import begun, read_stream


@pytest.fixture
def folder() -> Iterator[Path]:
    """Open to PostgreSQL's account, as pytest's own temp folder is not for root."""
    with tempfile.TemporaryDirectory(prefix="agent-stop-", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o711)
        yield Path(place) / "data"


def test_twice_while_a_stream_is_open_and_with_a_damaged_file(folder: Path) -> None:
    """Also: a file of Temporal that is no database was moved aside, and all is READY."""
    folder.mkdir(mode=0o711)
    (folder / "temporal.sqlite").write_bytes(b"not a database" * 1_000)
    lines: list[str] = []
    with begun(folder) as start:
        start.until_said("\nREADY")
        assert httpx2.get(f"{start.api}/readyz?for=answer").status_code == 200
        reader = threading.Thread(target=read_stream, args=(start.api, "[[sim: slow=20]] Hello", lines))
        reader.start()
        until_blocking("one message that waits", lambda: waiting(start.api), lambda seen: seen.endswith(" 1.0"))

        start.ask_to_stop(signal.SIGTERM)
        start.until_said("Stopping", 5)
        start.ask_to_stop(signal.SIGTERM)
        start.check_it_stopped()

        reader.join(5)
    assert "event: error" in lines
    assert any('"status":503' in line.replace(" ", "") for line in lines)
    assert "temporal.sqlite.damaged-1" in start.said()


def waiting(api: str) -> str:
    """The line of /metrics on the messages that wait."""
    lines = httpx2.get(f"{api}/metrics").text.splitlines()
    return next((line for line in lines if line.startswith("agent_waiting_messages ")), "no such line")


def test_ctrl_c_twice_while_the_database_is_brought_up_to_date(folder: Path) -> None:
    with begun(folder) as start:
        start.until_said("Bringing the database")

        start.ask_to_stop()
        start.ask_to_stop()

        start.check_it_stopped()


MOMENTS = [
    ("Starting PostgreSQL", 0.25),
    ("Starting PostgreSQL", 0.6),
    ("Starting PostgreSQL", 1.2),
    ("Starting PostgreSQL", 2.0),
    ("Bringing the database", 0.15),
    ("Bringing the database", 0.5),
    ("Bringing the database", 1.0),
    ("Starting worker", 0.0),
    ("Starting worker", 0.5),
    ("Starting worker", 1.5),
    ("Starting worker", 3.0),
]


@pytest.mark.chaos
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("said", "pause"), MOMENTS)
def test_at_every_moment_of_the_start(folder: Path, said: str, pause: float, number: signal.Signals) -> None:
    with begun(folder) as start:
        start.until_said(said)
        threading.Event().wait(pause)  # each moment of the start is one to be asked at

        start.ask_to_stop(number)

        start.check_it_stopped()
    with begun(folder) as again:  # nothing half-made is in its way
        again.until_said("\nREADY")
        again.ask_to_stop(number)
        again.check_it_stopped()


FROZEN = ["agent worker", "agent api", "server start-dev", "postgres -D", "postgres postgres [local]"]


@pytest.mark.chaos
@pytest.mark.parametrize("words", FROZEN)
def test_while_a_part_is_frozen(folder: Path, words: str) -> None:
    with begun(folder) as start:
        start.until_said("\nREADY")
        start.until_child(words).suspend()

        start.ask_to_stop(signal.SIGTERM)

        start.check_it_stopped()


@pytest.mark.chaos
@pytest.mark.parametrize(("words", "pause"), [("agent api", 3.0), ("agent worker", 1.0), ("server start-dev", 1.0)])
def test_while_a_part_is_frozen_in_the_start(folder: Path, words: str, pause: float) -> None:
    with begun(folder) as start:
        start.until_child(words, pause).suspend()
        start.until_said("Bringing")
        threading.Event().wait(4)  # into a look at the frozen part

        start.ask_to_stop(signal.SIGTERM)

        start.check_it_stopped()


@pytest.mark.chaos
@pytest.mark.parametrize("pause", [0.05, 0.5, 1.5])
def test_while_a_dead_server_has_left_a_frozen_child(folder: Path, pause: float) -> None:
    with begun(folder) as start:
        start.until_said("\nREADY")
        start.until_child("postgres postgres [local]").suspend()
        start.until_child("postgres -D").kill()
        start.until_said("postgres ended")
        threading.Event().wait(pause)

        start.ask_to_stop(signal.SIGTERM)

        start.check_it_stopped()


@pytest.mark.chaos
def test_while_a_frozen_worker_is_to_start_anew(folder: Path) -> None:
    with begun(folder, EPHEMERAL="1") as start:
        start.until_said("\nREADY")
        start.until_child("agent worker").suspend()
        start.until_child("server start-dev").kill()
        start.until_said("temporal runs again")

        start.ask_to_stop(signal.SIGTERM)

        start.check_it_stopped()


@pytest.mark.chaos
@pytest.mark.parametrize("pause", [0.0, 0.05, 0.1, 0.2, 0.3, 0.5])
def test_before_it_has_said_a_word(folder: Path, pause: float) -> None:
    """From our first line on; before it, the interpreter itself is what a signal ends."""
    with begun(folder) as start:
        until_blocking(
            "a handler of SIGTERM",
            lambda: _caught(start.process.pid),
            lambda caught: caught >> (signal.SIGTERM - 1) & 1,
            seconds=20,
        )
        threading.Event().wait(pause)

        start.ask_to_stop()

        assert start.process.wait(20) == 0
    assert "Traceback" not in start.said()


def _caught(pid: int) -> int:
    """The mask of the signals that are caught, as the kernel shows it."""
    mask = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt"))
    return int(mask.split()[1], 16)


@pytest.mark.chaos
def test_each_part_alone_ends_with_exit_code_0_and_comes_back(folder: Path) -> None:
    program = Program(folder, {"WORKER_SHUTDOWN_SECONDS": "3"})
    program.start()
    try:
        seconds_of = {"api": 3.0, "worker": 8.0, "simulator": 5.0, "standin": 5.0, "postgres": 5.0, "temporal": 5.0}
        for part, seconds in seconds_of.items():
            _check_it_comes_back(program, part, seconds)
    finally:
        program.stop()


def _check_it_comes_back(program: Program, part: str, seconds: float) -> None:
    process = psutil.Process(program.addresses["pids"][part])
    process.terminate()
    until_blocking(f"{part} gone", process.is_running, operator.not_, seconds=seconds)
    _until_it_says(program, f"{part} ended (exit code 0)", 5)
    _until_it_says(program, f"{part} runs again", 20)


def _until_it_says(program: Program, words: str, seconds: float) -> None:
    output = program.folder.with_suffix(".out")
    until_blocking(repr(words), output.read_text, lambda said: words in said, seconds=seconds)
