"""A disk that fills up while it runs: nothing is taken that cannot be kept, and all of it is answered once later."""

from __future__ import annotations

import random
import string
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.support.waiting import until_blocking
from tests.system.running import Program
from tests.system.small_disk import SmallDisk, small_disk

pytestmark = pytest.mark.chaos

MEGABYTES = 420
MESSAGES = 14


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    with tempfile.TemporaryDirectory(prefix="agent-disk-", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o711)
        with small_disk(Path(place) / "disk", MEGABYTES) as disk:
            if disk is None:
                pytest.skip("a tmpfs of its own needs root and the right to mount")
            yield disk


def readyz(program: Program) -> tuple[int, dict[str, object]]:
    response = httpx2.get(f"{program.addresses['api']}/readyz", timeout=20)
    return response.status_code, dict(response.json())


def texts() -> list[str]:
    """Of letters that nobody can make shorter."""
    chance = random.Random(17)
    return ["".join(chance.choices(string.ascii_letters, k=15_000)) for _ in range(MESSAGES)]


def test_a_full_disk_is_503_and_not_ready_and_passes(disk: SmallDisk) -> None:
    program = Program(disk.folder / "data", {"DISK_FREE_BYTES": "0", "TMPDIR": str(disk.folder.parent)})
    program.start()
    try:
        program.insist("Hello", "before")
        disk.fill()

        until_blocking("/readyz that says 503", lambda: readyz(program), lambda seen: seen[0] == 503, seconds=5)
        answers = [program.say(text, f"m-{number}") for number, text in enumerate(texts())]
        assert {answer.status_code for answer in answers} == {503}, [answer.text for answer in answers]
        assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers)
        status, body = readyz(program)
        assert (status, body["ready"], body["can_store"]) == (503, False, False)

        disk.empty()
        until_blocking("/readyz that says 200", lambda: readyz(program), lambda seen: seen[0] == 200)
        for number, text in enumerate(texts()):
            program.insist(text, f"m-{number}")
        turns = program.turns()
    finally:
        program.stop()
    assert sorted(turn["message_id"] for turn in turns) == sorted(["before", *(f"m-{n}" for n in range(MESSAGES))])


def test_a_worker_that_dies_meanwhile_comes_back_when_there_is_room(disk: SmallDisk) -> None:
    (data := disk.folder / "data").mkdir()
    (place := disk.folder.parent / "data").symlink_to(data)  # what the program says is kept beside it: elsewhere
    program = Program(place, {"DISK_FREE_BYTES": "0", "TMPDIR": str(disk.folder.parent), "RESTART_LIMIT": "2"})
    program.start()
    try:
        disk.fill()
        program.kill("worker")
        said = place.with_suffix(".out")
        until_blocking("a line about it", said.read_text, lambda text: "starts when there is room" in text)

        disk.empty()
        assert program.insist("Hello", "after")["status"] == "answered"
    finally:
        program.stop()
