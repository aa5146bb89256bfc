"""`agent run` as its user sees it: READY, one clear line for what is wrong, nothing lost and nothing left."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import psutil
import pytest

from tests.support.waiting import LONGEST_SECONDS, START_SECONDS, until_blocking
from tests.system.running import AGENT, KEY, Program, free_port, readiness, running

SERVED = ("worker", "api", "temporal", "postgres", "simulator", "standin")


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """Open to PostgreSQL's account, as pytest's own temp folder is not for root."""
    with tempfile.TemporaryDirectory(prefix="agent-run-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@pytest.fixture(scope="module")
def program(place: Path) -> Iterator[Program]:
    yield from running(place / "data")


@pytest.fixture
def new_folder(place: Path, request: pytest.FixtureRequest) -> Path:
    return place / request.node.name


def refused(folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """A start that ends by itself."""
    ports = {name: str(free_port()) for name in ("PORT", "TEMPORAL_PORT", "TEMPORAL_UI_PORT")}
    environment = {**os.environ, **ports, "DATA_DIR": str(folder), **settings}
    return subprocess.run([AGENT, "run"], env=environment, capture_output=True, text=True, timeout=START_SECONDS)


def check_one_line(done: subprocess.CompletedProcess[str], *words: str, code: int = 1) -> None:
    assert done.returncode == code
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert all(word in done.stderr for word in words), done.stderr


def alive(pids: dict[str, int]) -> list[str]:
    """Which of these parts still run."""
    return [name for name, pid in pids.items() if psutil.pid_exists(pid)]


def answered(url: str) -> bool:
    return httpx2.get(url, timeout=5).status_code == 200


def thread(program: Program) -> dict[str, Any]:
    with program.http() as http:
        found: dict[str, Any] = http.get("/api/session/c-1/thread").json()
    return {name: found[name] for name in ("frontend_context_uuid", "backend_uuid")}


def test_what_is_ready_can_be_reached(program: Program) -> None:
    addresses = program.addresses

    assert answered(f"{addresses['api']}/readyz")
    assert answered(addresses["docs"])
    assert answered(addresses["temporal_ui"])
    assert answered(f"{addresses['perplexity']}/health")
    assert answered(addresses["phone"])
    assert alive(addresses["pids"]) == list(addresses["pids"])
    assert set(addresses["pids"]) == set(SERVED)


def test_secrets_are_for_their_owner_only(program: Program) -> None:
    for name in ("addresses.json", "secrets.json"):
        assert (program.folder / name).stat().st_mode & 0o077 == 0


def test_the_key_that_the_user_set_is_not_shown(program: Program) -> None:
    shown = program.folder.with_suffix(".out").read_text()

    assert "READY" in shown
    assert KEY not in shown
    assert KEY not in (program.folder / "addresses.json").read_text()


def test_a_second_launcher_is_refused(program: Program) -> None:
    check_one_line(refused(program.folder), "DATA_DIR", str(program.folder), "in use")


def test_a_set_port_that_is_taken(new_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        done = refused(new_folder, PORT=port)

    check_one_line(done, "PORT", port, "taken")


def test_a_folder_that_cannot_be_written_to(new_folder: Path) -> None:
    new_folder.write_text("a file")  # for root too

    check_one_line(refused(new_folder / "data"), "DATA_DIR", str(new_folder), "cannot be written to")


def test_no_room_on_the_disk(new_folder: Path) -> None:
    check_one_line(refused(new_folder, DISK_FREE_BYTES=str(10**18)), "no room", "DISK_FREE_BYTES")


def test_a_wrong_setting(new_folder: Path) -> None:
    check_one_line(refused(new_folder, RESTART_LIMIT="often"), "RESTART_LIMIT", "'often'", "a whole number", code=2)


def test_a_database_that_is_away(new_folder: Path) -> None:
    port = free_port()

    done = refused(new_folder, DATABASE_URL=f"postgresql://nobody@127.0.0.1:{port}/none")

    check_one_line(done, "database could not be brought up to date", str(port))


@pytest.mark.parametrize("part", SERVED)
def test_a_killed_part_comes_back(program: Program, part: str) -> None:
    victim = program.addresses["pids"][part]

    psutil.Process(victim).kill()

    until_blocking(f"another {part} than {victim}", lambda: program.addresses["pids"][part], lambda pid: pid != victim)
    until_blocking("a program that is ready", lambda: readiness(program), lambda status: status == "200")
    assert alive(program.addresses["pids"]) == list(program.addresses["pids"])


def test_a_second_start_finds_the_conversation(program: Program) -> None:
    first = program.insist("Hello", "before")
    pids, before = program.addresses["pids"], thread(program)

    program.stop()
    assert alive(pids) == []
    assert not (program.folder / "addresses.json").exists()

    program.start()
    assert program.insist("Hello", "before") == first
    assert thread(program) == before


def test_a_killed_launcher_leaves_nothing_and_loses_nothing(program: Program) -> None:
    first = program.insist("Hello", "killed")
    pids = program.addresses["pids"]
    launcher = psutil.Process(pids["api"]).parent()
    assert launcher

    launcher.kill()
    until_blocking("the end of every part", lambda: alive(pids), lambda left: not left)
    program.stop()  # nothing to stop, only its exit code to take

    program.start()
    assert program.insist("Hello", "killed") == first


@pytest.mark.chaos
def test_a_part_that_dies_too_often_ends_the_whole(new_folder: Path) -> None:
    program = Program(new_folder, {"RESTART_LIMIT": "0"})
    program.start()
    pids = program.addresses["pids"]
    launcher = psutil.Process(pids["worker"]).parent()
    assert launcher

    psutil.Process(pids["worker"]).kill()
    launcher.wait(LONGEST_SECONDS)
    program.stop()  # nothing to stop, only its exit code to take

    last = new_folder.with_suffix(".out").read_text().splitlines()[-1]
    assert last.startswith("agent run: worker died more than 0 times")
    assert "SIGKILL" in last
    assert alive(pids) == []


@pytest.mark.chaos
def test_ephemeral_keeps_nothing(new_folder: Path) -> None:
    program = Program(new_folder, {"EPHEMERAL": "1"})
    program.start()
    program.insist("Hello", "m-1")
    database = Path(parse_qs(urlsplit(program.addresses["database_url"]).query)["host"][0])
    assert database.exists()
    assert new_folder not in database.parents

    program.stop()

    assert not database.parent.exists()
    assert not new_folder.exists()
