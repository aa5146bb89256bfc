"""Files are fetched within seconds of their message, whoever has the conversation and whatever else goes on.

No sweep runs here: what is kept was fetched by the wake-up.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import until
from tests.system_in_process import System, running_system
from tests.whatsapp_customer import SETTINGS, Customer, written

A_FEW_SECONDS = 10.0


@pytest.fixture
async def system(postgres_url: str, temporal_address: str, tmp_path: Path) -> AsyncIterator[System]:
    settings = {**SETTINGS, "media_dir": tmp_path}
    async with running_system(postgres_url, temporal_address, **settings) as system:
        yield system


@pytest.fixture
def customer(system: System) -> Customer:
    return Customer(system)


def photos(system: System, count: int, **fields: Any) -> list[dict[str, Any]]:
    for number in range(count):
        system.whatsapp.keep_file(f"{number}", f"photo {number}".encode(), "image/jpeg")
    return [written("", type="image", text=None, image={"id": f"{number}"}, **fields) for number in range(count)]


async def until_kept(system: System, count: int) -> None:
    await until(
        f"{count} kept files",
        lambda: system.database.rows("SELECT status, problem FROM media"),
        lambda files: [file["status"] for file in files] == ["kept"] * count,
        seconds=A_FEW_SECONDS,
    )


async def hand_over(customer: Customer, state: str = "human_handoff") -> None:
    path = f"/api/session/{customer.phone}/state?channel=whatsapp"
    response = await customer.system.http.post(path, json={"state": state, "reason": "test"})
    response.raise_for_status()


async def test_a_human_sees_them_at_once_each_fetched_once(system: System, customer: Customer) -> None:
    """More than one look at the database brings."""
    await customer.write("Hello")
    await customer.until_received(1)
    await hand_over(customer)

    await customer.send(*({**photo, "from": customer.phone} for photo in photos(system, 25)))

    await until_kept(system, 25)
    assert sorted(system.whatsapp.downloads, key=int) == [str(number) for number in range(25)]
    assert len(system.perplexity.prompts) == 1


async def test_a_download_that_hangs_holds_up_nobody(system: System, customer: Customer) -> None:
    await customer.write("Hello")
    await customer.until_received(1)
    await hand_over(customer)
    system.whatsapp.gate.clear()
    await customer.send(*photos(system, 1))
    await until("a download under way", system.whatsapp.held.is_set)

    await hand_over(customer, "bot")
    await customer.write("Did you get my photo?")
    await system.until_asked(2)

    system.whatsapp.gate.set()
    await until_kept(system, 1)
    await customer.until_received(2)


async def test_an_answer_that_comes_sooner_leaves_the_download_alone(system: System, customer: Customer) -> None:
    system.whatsapp.gate.clear()
    await customer.send(*photos(system, 1))
    await until("a download under way", system.whatsapp.held.is_set)
    answered = "SELECT id FROM turns WHERE finished_at IS NOT NULL"
    await until("an answered turn", lambda: system.database.rows(answered))

    system.whatsapp.gate.set()

    await until_kept(system, 1)
    await customer.until_received(1)
    assert system.whatsapp.downloads == ["0"]


async def test_what_one_channel_cannot_give_now_does_not_keep_the_others_away(
    system: System, customer: Customer
) -> None:
    first, *others = photos(system, 3)
    del system.whatsapp.files["0"]

    await customer.send(first, *others)

    kept = "SELECT channel_media_id FROM media WHERE status = 'kept'"
    await until("two kept files", lambda: system.database.rows(kept), lambda files: len(files) == 2)
    [due] = await system.database.rows("SELECT attempts, status FROM media WHERE channel_media_id = '0'")
    assert (due["attempts"], due["status"]) == (1, "due")


async def test_files_of_who_turns_out_to_be_another_are_fetched_all_the_same(
    system: System, customer: Customer
) -> None:
    await customer.write("Hello")
    await customer.until_idle()
    by_id = {"from": None, "from_user_id": "US.1"}

    await customer.send(*photos(system, 1, **by_id))
    await customer.write("It is me", from_user_id="US.1")

    await until_kept(system, 1)
    assert system.whatsapp.downloads.count("0") in {1, 2}  # two may have looked at once


async def test_a_place_that_cannot_be_written_to_uses_up_attempts_and_staff_are_told(
    postgres_url: str, temporal_address: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    settings = {**SETTINGS, "media_dir": tmp_path / "file", "media_attempts": 1}
    async with running_system(postgres_url, temporal_address, **settings) as system:
        await Customer(system).send(*photos(system, 1))

        query = "SELECT attempts, status, problem FROM media"
        await until("a refused file", lambda: system.database.rows(query), lambda rows: rows[0]["status"] == "refused")

        [file] = await system.database.rows(query)
        assert (file["attempts"], file["problem"]) == (1, "MEDIA_DIR cannot be written to (Not a directory)")
        [note] = await system.database.rows("SELECT text, direction FROM messages WHERE kind = 'note'")
        assert note["direction"] == "event"
        assert note["text"] == f"A file that the customer sent could not be kept: {file['problem']}"
