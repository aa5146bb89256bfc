"""Whose traffic it is, as the envelope says: what another sender has, and what our own side wrote, is kept and answered
by nobody, under the name of who said it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from integrations.perplexity.double import words
from tests.support.clock import now, stamp
from tests.system_in_process import System, running_system
from tests.whatsapp_bodies import payload
from tests.whatsapp_customer import SETTINGS, post
from tests.whatsapp_line import Line, changed

NUMBER, OURS = "15550001411", "15550783881"


@pytest.fixture
async def system(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    async with running_system(postgres_url, temporal_address, **SETTINGS) as system:
        yield system


@pytest.fixture
def ana(system: System) -> Line:
    return Line(system, NUMBER, name="Ana")


@pytest.mark.parametrize("field", ["standby", "history", "a field of tomorrow"])
async def test_what_another_sender_has_is_kept_and_answered_by_nobody(ana: Line, field: str) -> None:
    message = {**changed(sender_from=NUMBER), "type": "text", "text": {"body": "do you open on Sunday?"}}
    edit = {"original_message_id": message["id"], "message": {"type": "text", "text": {"body": "on Monday?"}}}

    await ana.sends(message, field=field)
    await ana.sends({**changed(sender_from=NUMBER), "type": "edit", "edit": edit}, field=field)
    await ana.writes("Hello")
    await ana.until_received(1)

    assert [words(prompt) for prompt in ana.system.perplexity.prompts] == ["Hello"]
    rows = await ana.system.database.rows("SELECT text FROM messages WHERE direction = 'event' ORDER BY stored_at")
    assert [row["text"] for row in rows] == ["do you open on Sunday?", "on Monday?"]


async def test_our_own_number_is_no_customer(ana: Line) -> None:
    ours = {"from": OURS, "to": NUMBER, "text": {"body": "it costs RM1"}}

    await ana.sends({**changed(), "type": "text", **ours})
    await ana.sends({**changed(), "type": "text", "from": OURS, "text": {"body": "Hello"}})
    await ana.writes("Hello")
    await ana.until_received(1)

    assert [words(prompt) for prompt in ana.system.perplexity.prompts] == ["Hello"]
    [echo] = await ana.system.database.rows("SELECT author, text FROM messages WHERE kind = 'echo'")
    assert (echo["author"], echo["text"]) == ("agent", "it costs RM1")
    assert len(await ana.system.database.rows("SELECT 1 FROM leftovers")) == 1


def echo(number: int, /, **fields: Any) -> dict[str, Any]:
    """What our side wrote on the phone itself."""
    return {"from": OURS, "to": NUMBER, "id": f"wamid.e{number}", "timestamp": stamp(now())} | fields


PICTURE = echo(3, type="image", image={"id": "99", "mime_type": "image/jpeg", "caption": "our shop"})
REVOKED = echo(2, type="revoke", revoke={"original_message_id": "wamid.e1"})
EDITED = {"original_message_id": "wamid.e1", "message": {"type": "text", "text": {"body": "it costs RM10"}}}


async def echoes(line: Line, *each: dict[str, Any], field: str = "smb_message_echoes") -> list[tuple[str, str, str]]:
    """Posted one by one; what is kept of them."""
    for one in each:
        body = payload(message_echoes=[one])
        body["entry"][0]["changes"][0]["field"] = field
        assert (await post(line.system, body)).status_code == 200
    rows = await line.system.database.rows("SELECT author, kind, text FROM messages ORDER BY stored_at")
    return [(row["author"], row["kind"], row["text"]) for row in rows]


async def test_staffs_words_are_not_put_into_the_customers_mouth(ana: Line) -> None:
    said = echo(1, type="text", text={"body": "it costs RM1"})

    assert await echoes(ana, said, REVOKED, PICTURE) == [
        ("agent", "deleted", ""),
        ("agent", "echo", "[Staff deleted a message.]"),
        ("agent", "echo", "[Staff sent an image.]\nour shop"),
    ]
    [kept] = await ana.system.database.rows("SELECT meta ->> 'before' AS before FROM messages WHERE kind = 'deleted'")
    assert kept["before"] == "it costs RM1"
    assert ana.system.perplexity.prompts == []


async def test_what_staff_edit_reads_as_edited(ana: Line) -> None:
    said = echo(1, type="text", text={"body": "it costs RM1"})

    kept = await echoes(ana, said, echo(2, type="edit", edit=EDITED))

    assert kept == [("agent", "echo", "it costs RM10")] * 2


async def test_what_another_sender_said_is_neither_staffs_nor_the_customers(ana: Line) -> None:
    [(author, _, text)] = await echoes(ana, PICTURE, field="standby")
    [row] = await ana.system.database.rows("SELECT direction, author_name FROM messages")

    assert (author, text) == ("agent", "[Another sender sent an image.]\nour shop")
    assert (row["direction"], row["author_name"]) == ("event", "another sender")
