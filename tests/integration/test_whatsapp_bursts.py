"""Customers write in bursts, wait, send pictures: what happens around the question to the model."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from integrations.perplexity.double import words
from schemas.failures import ModelFailureKind
from tests.support.waiting import until
from tests.system_in_process import System, running_system
from tests.whatsapp_customer import SETTINGS, Customer, at, written

_POLL = {"newer_message_poll_seconds": 0.05}


@pytest.fixture
async def system(postgres_url: str, temporal_address: str, tmp_path: Path) -> AsyncIterator[System]:
    settings = {**SETTINGS, **_POLL, "media_dir": tmp_path / "media"}
    async with running_system(postgres_url, temporal_address, **settings) as system:
        yield system


def _asked(system: System) -> list[str]:
    return [words(question) for question in system.perplexity.prompts]


async def test_a_burst_is_answered_together(postgres_url: str, temporal_address: str) -> None:
    async with running_system(postgres_url, temporal_address, **{**SETTINGS, "quiet_seconds": 0.6}) as system:
        customer = Customer(system)

        for number, words in enumerate(("Hello", "my lamp", "is broken")):
            await customer.write(words, timestamp=at(number))
        await customer.until_idle()

        assert _asked(system) == ["Hello\n\nmy lamp\n\nis broken"]
        assert (await customer.session())["turns"] == 1


async def test_the_quiet_time_has_an_end(postgres_url: str, temporal_address: str) -> None:
    """Who never stops writing is answered all the same: the cap counts, not the quiet."""
    settings = {**SETTINGS, "quiet_seconds": 30.0, "quiet_cap_seconds": 0.3}
    async with running_system(postgres_url, temporal_address, **settings) as system:
        customer = Customer(system)

        await customer.write("Hello")

        assert len(await customer.until_received(1)) == 1


async def test_a_newer_message_drops_the_stale_answer_and_both_are_asked(system: System) -> None:
    customer = Customer(system)
    system.perplexity.gate.clear()
    await customer.write("I want a lamp", timestamp=at(1))
    await system.until_asked(1)

    await customer.write("No, two lamps", timestamp=at(2))
    await system.until_asked(2)
    system.perplexity.gate.set()
    await customer.until_idle()

    assert _asked(system) == ["I want a lamp", "I want a lamp\n\nNo, two lamps"]
    assert len(customer.received) == 1
    failures = await system.database.rows("SELECT failure FROM raw_outputs ORDER BY created_at")
    assert [row["failure"] for row in failures] == [ModelFailureKind.INTERRUPTED, None]


async def test_only_once_is_an_answer_dropped(system: System) -> None:
    customer = Customer(system)
    system.perplexity.gate.clear()
    for number in range(1, 3):
        await customer.write(f"message {number}", timestamp=at(number))
        await system.until_asked(number)
    await customer.write("message 3", timestamp=at(3))
    system.perplexity.gate.set()
    await customer.until_idle()

    assert _asked(system) == ["message 1", "message 1\n\nmessage 2", "message 3"]
    assert len(customer.received) == 2


async def test_where_the_setting_says_wait_a_newer_message_waits(postgres_url: str, temporal_address: str) -> None:
    settings = {**SETTINGS, **_POLL, "newer_message_while_asking": "wait"}
    async with running_system(postgres_url, temporal_address, **settings) as system:
        customer = Customer(system)
        system.perplexity.gate.clear()
        await customer.write("first")
        await system.until_asked(1)
        await customer.write("second")
        system.perplexity.gate.set()
        await customer.until_idle()

        assert _asked(system) == ["first", "second"]


async def test_one_word_of_patience_for_a_slow_answer(postgres_url: str, temporal_address: str) -> None:
    async with running_system(postgres_url, temporal_address, **{**SETTINGS, "still_working_seconds": 0.2}) as system:
        customer = Customer(system)
        system.perplexity.gate.clear()
        await customer.write("A hard question")
        await customer.until_received(1)
        system.perplexity.gate.set()
        await customer.until_idle()

        assert customer.received == ["I am still working on it, one moment please.", "You said: A hard question"]


async def test_a_message_taken_back_is_not_answered(postgres_url: str, temporal_address: str) -> None:
    async with running_system(postgres_url, temporal_address, **{**SETTINGS, "quiet_seconds": 0.6}) as system:
        customer = Customer(system)
        wrong = await customer.write("my password is 1234")
        revoked = written("", type="revoke", text=None, revoke={"original_message_id": wrong["id"]})
        await customer.send(revoked)
        await customer.until_idle()

        assert customer.received == []
        assert system.perplexity.prompts == []


_PICTURE = b"\xff\xd8\xff\xe0 a photo of a lamp"


def _image(system: System) -> dict[str, Any]:
    system.whatsapp.keep_file("9001", _PICTURE, "image/jpeg")
    digest = base64.b64encode(sha256(_PICTURE).digest()).decode()
    image = {"id": "9001", "mime_type": "image/jpeg", "sha256": digest, "caption": "This one"}
    return written("", type="image", text=None, image=image)


async def test_a_photo_that_comes_while_a_human_has_the_conversation_is_fetched_at_once(
    system: System, tmp_path: Path
) -> None:
    customer = Customer(system)
    await customer.write("Hello")
    await customer.until_received(1)
    body = {"state": "human_handoff", "reason": "mine"}
    await system.http.post(f"/api/session/{customer.phone}/state?channel=whatsapp", json=body)

    await customer.send(_image(system))

    kept = tmp_path / "media" / sha256(_PICTURE).hexdigest()[:2] / sha256(_PICTURE).hexdigest()
    await until(f"the photo at {kept}", lambda: list(tmp_path.rglob("*")), lambda found: kept in found)
    assert len(system.perplexity.prompts) == 1


async def test_a_photo_is_described_to_the_model_and_kept(system: System, tmp_path: Path) -> None:
    customer = Customer(system)
    system.perplexity.gate.clear()

    await customer.send(_image(system))
    await system.until_asked(1)
    kept = tmp_path / "media" / sha256(_PICTURE).hexdigest()[:2] / sha256(_PICTURE).hexdigest()
    await until(f"the photo at {kept}", lambda: list(tmp_path.rglob("*")), lambda found: kept in found)
    system.perplexity.gate.set()
    await customer.until_idle()

    assert "an image, which you cannot open" in _asked(system)[0]
    assert _asked(system)[0].endswith("This one")
    assert kept.read_bytes() == _PICTURE


async def test_a_photo_that_cannot_be_had_costs_no_answer(system: System) -> None:
    customer = Customer(system)
    one = _image(system)
    system.whatsapp.files.clear()

    await customer.send(one)

    assert len(await customer.until_received(1)) == 1
    await asyncio.sleep(0)
    assert await system.database.row("SELECT 1 FROM media WHERE status = 'due'") is not None


async def test_a_flood_of_one_customer_does_not_delay_another(postgres_url: str, temporal_address: str) -> None:
    settings = {**SETTINGS, "newer_message_while_asking": "wait"}
    async with running_system(postgres_url, temporal_address, **settings) as system:
        flooding, other = Customer(system), Customer(system, "15550002222")
        system.perplexity.gate.clear()
        await flooding.send(*(written(f"message {number}") for number in range(500)))
        await system.until_asked(1)

        await other.write("And me?")
        await system.until_asked(2)

        assert _asked(system)[1] == "And me?"
        system.perplexity.gate.set()
        await other.until_received(1)


async def test_over_the_limit_what_comes_is_answered_together_and_told_once(
    postgres_url: str, temporal_address: str
) -> None:
    limits = {"channel_customer_messages_per_minute": 1, "channel_customer_messages_burst": 1}
    async with running_system(
        postgres_url, temporal_address, **SETTINGS, **limits, over_limit_wait_seconds=0.5
    ) as system:
        customer = Customer(system)
        await customer.write("message 0")
        await customer.until_received(1)
        await customer.send(*(written(f"message {number}") for number in (1, 2, 3)))
        await customer.until_received(2)
        await customer.write("message 4")
        await customer.until_received(3)

        assert _asked(system) == ["message 0", "message 1\n\nmessage 2\n\nmessage 3", "message 4"]
        assert [text for text in customer.received if "faster than I can answer" in text] == customer.received[1:2]


async def test_over_the_limit_the_model_is_not_asked_before_there_is_room(
    postgres_url: str, temporal_address: str
) -> None:
    """Meanwhile nobody else waits for it."""
    limits = {"channel_customer_messages_per_minute": 1, "channel_customer_messages_burst": 1}
    async with running_system(postgres_url, temporal_address, **SETTINGS, **limits) as system:
        flooding, other = Customer(system), Customer(system, "15550002222")
        await flooding.write("message 0")
        await flooding.until_received(1)
        await flooding.write("message 1")
        await until("the wait", lambda: system.database.rows(_WAITING), bool)
        await other.write("And me?")
        await other.until_received(1)

        assert _asked(system) == ["message 0", "And me?"]


_WAITING = """
SELECT 1 FROM turns t JOIN messages m ON m.conversation_id = t.conversation_id AND m.seq = t.last_seq
 WHERE t.status = 'claimed' AND m.meta ? 'waits_until'
"""
