"""The dashboard shows what is recorded, as text only. Who may see it: `test_sign_in.py` and `test_access.py`."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from uuid import UUID

import httpx2
import pytest

from schemas.actions import AssistantActions, Confirmation
from schemas.assistants import AssistantConfig
from storage.overview import Overview
from tests.support.shop import output
from tests.system_in_process import System, running_system

TOKEN = "one-time-token-0123456789"


@pytest.fixture
async def system(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    settings = {"admin_link_token": TOKEN, "secret_key": "a-secret-key-for-tests"}
    async with running_system(postgres_url, temporal_address, **settings) as system:
        yield system


@pytest.fixture
async def visitor(system: System) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=system.http.base_url, follow_redirects=True) as visitor:
        (await visitor.post("/dashboard/enter", data={"token": TOKEN})).raise_for_status()
        yield visitor


async def test_it_shows_conversations_and_raw_outputs_as_text(system: System, visitor: httpx2.AsyncClient) -> None:
    system.perplexity.scripts.append('<script>alert("output")</script>')
    turn = (await system.send("<b>bold question</b>")).json()

    listed = (await visitor.get("/dashboard")).text
    page = (await visitor.get(f"/dashboard/conversations/{turn['conversation_id']}")).text

    assert turn["conversation_id"] in listed
    assert "&lt;b&gt;bold question&lt;/b&gt;" in page
    assert "&lt;script&gt;" in page
    assert "<script>" not in page


async def test_trouble_lists_what_could_not_be_used(system: System, visitor: httpx2.AsyncClient) -> None:
    system.perplexity.scripts.extend(['{"action": "launch_rocket", "reason": "x"}', "Sorry."])
    await system.send("Hello")

    page = (await visitor.get("/dashboard/trouble")).text

    assert "invalid output" in page
    assert "launch_rocket" in page


async def test_trouble_names_what_was_wrong_and_both_packs(system: System, visitor: httpx2.AsyncClient) -> None:
    raw = '{"action": "ticket_status", "reason": "x", "metadata": {"<b>": 1}, "pack": "0123456789abcdef"}'
    system.perplexity.scripts.extend([raw, "Sorry."])
    await system.send("Hello")
    [drift] = (await system.http.get("/api/drift")).json()

    page = (await visitor.get("/dashboard/trouble")).text

    assert "<code>/metadata/&lt;b&gt;</code> unknown field" in page
    assert f"asked with <code>{drift['prompt_pack']}</code>" in page
    assert "<code>0123456789abcdef</code>" in page


async def test_an_approval_says_what_would_be_done_and_why(system: System, visitor: httpx2.AsyncClient) -> None:
    config = AssistantConfig(actions=AssistantActions(confirmations={"create_ticket": Confirmation.STAFF}))
    await system.services.configurations.apply("default", config, "test")
    system.perplexity.scripts.append(output("create_ticket", subject="Lamp", description="Broken"))
    turn = (await system.send("My lamp broke")).json()

    page = (await visitor.get(f"/dashboard/conversations/{turn['conversation_id']}")).text

    assert "Shall I open a ticket for you?\n• Subject: Lamp\n• Description: Broken</p>" in page
    assert "Why: Asked for it" in page


async def test_a_note_is_staffs_and_stands_after_what_it_is_about(system: System, visitor: httpx2.AsyncClient) -> None:
    turn = (await system.send("Hello")).json()
    stored = "INSERT INTO messages (conversation_id, direction, author, channel, id_scope, kind, text) VALUES "
    note, words = (
        "'event', 'assistant', 'http', '', 'note', 'A note'",
        "'out', 'assistant', 'http', '', 'text', 'Words'",
    )
    for order in ([note, words], [words, note]):  # of one moment: their ids are random
        values = ", ".join(f"(:conversation_id, {row})" for row in order * 3)
        await system.database.rows(stored + values + " RETURNING id", {"conversation_id": turn["conversation_id"]})

    page = (await visitor.get(f"/dashboard/conversations/{turn['conversation_id']}")).text
    shown = await Overview(system.database).messages(UUID(turn["conversation_id"]), 20)

    assert page.count('<li class="event note"><small>note for staff ·') == 6
    assert [message.text for message in shown[2:]] == [*["Words"] * 3, *["A note"] * 3] * 2
    assert [message.for_staff for message in shown[2:]] == [*[False] * 3, *[True] * 3] * 2


async def test_what_is_held_is_counted_and_the_handoff_and_open_tickets_are_named(
    system: System, visitor: httpx2.AsyncClient
) -> None:
    system.perplexity.scripts.append(output("create_ticket", subject="<i>Lamp</i>", description="Broken"))
    turn = (await system.send("My lamp broke")).json()
    await system.send("yes")
    body = {"state": "human_handoff", "reason": "Ann looks"}
    (await system.http.post("/api/session/c-1/state", json=body)).raise_for_status()
    for text in ("Anybody there?", "It is urgent"):
        await system.send(text)

    listed = (await visitor.get("/dashboard")).text
    page = (await visitor.get(f"/dashboard/conversations/{turn['conversation_id']}")).text

    assert '<span class="pill held">2</span>' in listed
    assert "2 messages that nobody has answered" in page
    assert re.search(r"support, since \S+ \S+,\s+by api key \S[^<]*: Ann looks", page)
    assert 'T-1001 <span class="pill">open</span> &lt;i&gt;Lamp&lt;/i&gt;' in page
