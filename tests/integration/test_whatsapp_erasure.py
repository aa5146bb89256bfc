"""A customer on WhatsApp is erased: number, name, words, parts and files go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from schemas.messages import limit_key
from storage import media_files
from storage.erasure import Erasure
from storage.exports import Exports
from storage.tables import metadata
from tests.support.waiting import until
from tests.system_in_process import System, running_system
from tests.whatsapp_bodies import ACCOUNT, payload
from tests.whatsapp_customer import SETTINGS, Customer, post, written

PICTURE = b"\xff\xd8\xff\xe0 a photo"


@pytest.fixture
async def system(postgres_url: str, temporal_address: str, tmp_path: Path) -> AsyncIterator[System]:
    async with running_system(postgres_url, temporal_address, **SETTINGS, media_dir=tmp_path) as system:
        yield system


def _kept(folder: Path) -> list[Path]:
    return list(folder.glob("*/*"))


async def _with_a_picture(system: System, folder: Path) -> str:
    """A conversation with words and a kept picture; the picture's name."""
    customer = Customer(system)
    system.perplexity.gate.clear()
    system.whatsapp.keep_file("9001", PICTURE, "image/jpeg")
    image = {"id": "9001", "mime_type": "image/jpeg", "caption": "Zanzibar"}
    await customer.send(written("", type="image", text=None, image=image))
    kept = "SELECT 1 FROM media WHERE status = 'kept'"  # its row comes after the file
    await until("a kept file", lambda: system.database.rows(kept))
    system.perplexity.gate.set()
    await customer.until_idle()
    return _kept(folder)[0].name


async def test_nothing_of_the_customer_is_left(system: System, tmp_path: Path) -> None:
    sha256 = await _with_a_picture(system, tmp_path)
    session = await Customer(system).session()
    erasure = Erasure(system.database)
    customer_id = await erasure.customer_of(UUID(session["conversation_id"]))
    exported = await Exports(system.database).customer(customer_id)

    erased = await erasure.erase(customer_id, actor="test")

    assert (len(exported["media"]), len(exported["deliveries"])) == (1, 1)
    assert erased.files == [sha256]
    for table in metadata.tables:
        rows = await system.database.rows(f"SELECT to_jsonb({table})::text AS row FROM {table}")
        left = [row["row"] for row in rows if "Zanzibar" in row["row"] or Customer(system).phone in row["row"]]
        assert left == [], table


async def test_no_late_status_brings_the_channels_id_back(system: System) -> None:
    """WhatsApp's holds the phone number. One is told of that has another id: a copy's."""
    customer = Customer(system)
    await customer.write("Hello")
    await customer.until_idle()
    erasure = Erasure(system.database)
    session = await customer.session()
    await erasure.erase(await erasure.customer_of(UUID(session["conversation_id"])), actor="test")
    [posted] = system.whatsapp.sent
    for status in ("sent", "delivered", "read", "failed", "deleted"):
        await customer.status(posted, status, 131000 if status == "failed" else None)
        await customer.status(replace(posted, channel_message_id="wamid.double-copy"), status)

    for table in metadata.tables:
        rows = await system.database.rows(f"SELECT to_jsonb({table})::text AS row FROM {table}")
        assert [row["row"] for row in rows if "wamid.double" in row["row"]] == [], table


async def test_leftovers_that_name_them_and_their_limits_go(system: System) -> None:
    customer, other = Customer(system), Customer(system, "15550002222")
    unreadable = {"id": "wamid.1", "timestamp": "1", "status": "odd"}
    for each in (customer, other):
        await each.write("Hello", from_user_id=f"US.{each.phone}")
        await each.until_idle()
        await post(system, payload(statuses=[{**unreadable, "recipient_id": each.phone}]))
        await post(system, payload(statuses=[{**unreadable, "recipient_user_id": f"US.{each.phone}"}]))
    await post(system, payload(statuses=[{**unreadable, "recipient_id": f"{customer.phone}9"}]))
    erasure = Erasure(system.database)
    session = await customer.session()

    await erasure.erase(await erasure.customer_of(UUID(session["conversation_id"])), actor="test")

    left = await system.database.rows("SELECT raw::text AS raw FROM leftovers")
    assert len(left) == 3
    assert not [row for row in left if f'"{customer.phone}"' in row["raw"] or f'US.{customer.phone}"' in row["raw"]]
    limits = {row["key"] for row in await system.database.rows("SELECT key FROM rate_limits")}
    theirs, others = (limit_key("customer", "whatsapp", ACCOUNT, "phone", each.phone) for each in (customer, other))
    assert (theirs in limits, others in limits) == (False, True)


async def test_a_file_that_another_customer_sent_too_stays(system: System, tmp_path: Path) -> None:
    await _with_a_picture(system, tmp_path)
    other = Customer(system, "15550002222")
    await other.send(written("", **{"from": other.phone}, type="image", text=None, image={"id": "9001"}))
    await other.until_idle()
    await system.database.rows("UPDATE media SET status = 'kept', sha256 = (SELECT max(sha256) FROM media)")
    session = await Customer(system).session()
    erasure = Erasure(system.database)

    erased = await erasure.erase(await erasure.customer_of(UUID(session["conversation_id"])), actor="test")

    assert erased.files == []


async def test_an_erasure_waits_for_who_holds_a_part_and_neither_is_refused(system: System) -> None:
    """A claim, or a status, locks the part and then its conversation: so does an erasure."""
    customer = Customer(system)
    await customer.write("Hello")
    await customer.until_idle()
    conversation_id = UUID((await customer.session())["conversation_id"])
    erasure = Erasure(system.database)
    customer_id = await erasure.customer_of(conversation_id)
    async with system.database.transaction() as transaction:
        await transaction.rows("SELECT id FROM effects WHERE kind = 'part' FOR UPDATE")
        erasing = asyncio.create_task(erasure.erase(customer_id, actor="test"))
        waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        await until("the erasure that waits", lambda: system.database.rows(waiting))
        await transaction.rows("SELECT id FROM conversations WHERE id = :id FOR SHARE", {"id": conversation_id})

    assert (await erasing).conversations == 1


def test_removing_what_is_gone_is_no_error(tmp_path: Path) -> None:
    media_files.write(tmp_path, "ab12", b"bytes")
    media_files.write(tmp_path, "ab12", b"bytes")

    media_files.remove(tmp_path, "ab12")
    media_files.remove(tmp_path, "ab12")

    assert not media_files.path_of(tmp_path, "ab12").exists()
