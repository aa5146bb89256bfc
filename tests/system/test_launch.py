"""`agent run` that ends by itself: one clear line for what is wrong, and what it may not keep is gone."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil
import pytest

from tests.support.waiting import LONGEST_SECONDS
from tests.system.running import Program, alive, check_one_line, free_port, refused


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """Open to PostgreSQL's account, as pytest's own temp folder is not for root."""
    with tempfile.TemporaryDirectory(prefix="agent-run-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@pytest.fixture
def new_folder(place: Path, request: pytest.FixtureRequest) -> Path:
    return place / request.node.name


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
