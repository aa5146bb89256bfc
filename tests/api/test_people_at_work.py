"""What people who are signed in come upon, beyond the table: a take-over of another team's conversation, raw outputs
that a viewer does not see, a name that is theirs, and changes that only our own pages make."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from api.own_pages import TOKEN_HEADER
from schemas.access import Role
from schemas.turns import State
from tests.signing_in import add_user, signed_in
from tests.system_in_process import System, running_system

ANN, BEN, EVE = "ann@example.org", "ben@example.org", "eve@example.org"
RAW = '{"action": "launch_rocket", "reason": "Zanzibar"}'


@pytest.fixture(scope="module")
async def staffed(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    """Ann sells, Ben supports, Eve looks."""
    async with running_system(postgres_url, temporal_address) as system:
        await add_user(system, ANN, Role.AGENT, ["sales"])
        await add_user(system, BEN, Role.AGENT, ["support"])
        await add_user(system, EVE, Role.VIEWER)
        yield system


async def call_to(system: System, customer: str, team: str) -> str:
    """A conversation that *team* is called to."""
    turn = (await system.send("Hello", customer=customer)).json()
    await state(system.http, customer, State.HUMAN_HANDOFF)
    values = {"id": turn["conversation_id"], "team": team}
    await system.database.rows("UPDATE handoffs SET team = :team WHERE conversation_id = :id", values)
    return str(turn["conversation_id"])


async def state(client: httpx2.AsyncClient, customer: str, wanted: State) -> httpx2.Response:
    return await client.post(f"/api/session/{customer}/state", json={"state": wanted, "reason": "a test"})


async def reply(client: httpx2.AsyncClient, customer: str, name: str = "Somebody Else") -> httpx2.Response:
    body = {"text": "A person's words", "agent_name": name}
    return await client.post(f"/api/session/{customer}/messages", json=body)


async def test_another_teams_conversation_is_taken_which_is_noted_and_then_their_own(staffed: System) -> None:
    conversation_id = await call_to(staffed, "c-taken", "support")
    async with signed_in(staffed, ANN) as ann:
        before = [(await reply(ann, "c-taken")).status_code, (await state(ann, "c-taken", State.BOT)).status_code]
        read = await ann.get("/api/session/c-taken")
        taken = await state(ann, "c-taken", State.HUMAN_HANDOFF)
        after = [(await reply(ann, "c-taken")).status_code, (await state(ann, "c-taken", State.BOT)).status_code]

    assert (before, read.status_code, taken.status_code, after) == ([403, 403], 200, 200, [202, 200])
    assert taken.json()["handoff"]["taken_by"] == f"user {ANN}"
    noted = await staffed.database.rows(
        "SELECT actor, details FROM audit WHERE deed = 'conversation.taken_from_a_team' AND subject = :subject",
        {"subject": f"conversation/{conversation_id}"},
    )
    assert [(row["actor"], row["details"]) for row in noted] == [(f"user {ANN}", {"team": "support"})]


async def test_what_somebody_takes_is_their_teams(staffed: System) -> None:
    await staffed.send("Hello", customer="c-mine")
    async with signed_in(staffed, ANN) as ann, signed_in(staffed, BEN) as ben:
        taken = (await state(ann, "c-mine", State.HUMAN_HANDOFF)).json()
        others = await reply(ben, "c-mine")

    assert (taken["handoff"]["team"], others.status_code) == ("sales", 403)
    assert "another team's: take it first" in others.json()["detail"]


async def test_a_team_that_nobody_is_in_is_none(staffed: System) -> None:
    await call_to(staffed, "c-nobodys", "repairs")
    async with signed_in(staffed, ANN) as ann:
        assert (await reply(ann, "c-nobodys")).status_code == 202


async def test_a_person_speaks_in_their_own_name_only(staffed: System) -> None:
    conversation_id = await call_to(staffed, "c-named", "sales")
    async with signed_in(staffed, ANN) as ann:
        await reply(ann, "c-named", name="Ben")

    rows = await staffed.database.rows(
        "SELECT author_name FROM messages WHERE conversation_id = :id AND author = 'agent'", {"id": conversation_id}
    )
    assert [row["author_name"] for row in rows] == [ANN]


async def test_a_viewer_sees_no_raw_output(staffed: System) -> None:
    staffed.perplexity.scripts.extend([RAW, "Sorry."])
    turn = (await staffed.send("Hello", customer="c-raw")).json()
    pages = ["/dashboard/trouble", f"/dashboard/conversations/{turn['conversation_id']}", "/api/session/c-raw/turns"]

    async with signed_in(staffed, EVE) as eve, signed_in(staffed, ANN) as ann:
        for page in pages:
            assert "launch_rocket" in (await ann.get(page)).text, page
            shown = await eve.get(page)
            assert (shown.status_code, "launch_rocket" in shown.text, "Zanzibar" in shown.text) == (200, False, False)


async def test_a_role_that_changes_is_in_force_at_once(staffed: System) -> None:
    await add_user(staffed, "new@example.org", Role.VIEWER)
    async with signed_in(staffed, "new@example.org") as new:
        before = await new.get("/api/drift")
        await staffed.database.rows("UPDATE users SET role = 'agent' WHERE email = 'new@example.org'")
        after = await new.get("/api/drift")

    assert [before.status_code, after.status_code] == [403, 200]
    assert "Your role is viewer" in before.json()["detail"]


UNWANTED: list[dict[str, Any]] = [
    {"Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "cross-site"},
    {TOKEN_HEADER: "another-token"},
    {TOKEN_HEADER: ""},
]


@pytest.mark.parametrize("headers", UNWANTED, ids=str)
async def test_a_call_of_another_sites_page_does_nothing(staffed: System, headers: dict[str, str]) -> None:
    await staffed.send("Hello", customer="c-forged")
    async with signed_in(staffed, ANN) as ann:
        body = {"state": "closed", "reason": ""}
        forged = await ann.post("/api/session/c-forged/state", json=body, headers=headers)

    assert forged.status_code == 403
    assert (await staffed.session("c-forged"))["state"] == "bot"
