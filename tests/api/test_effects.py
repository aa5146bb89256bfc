"""What was done outside, and a human's word on what nobody knows."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from integrations.endpoints.port import CallFailureKind, EndpointFailed
from schemas.actions import AssistantActions
from schemas.assistants import AssistantConfig
from tests.support.shop import BOOK, output
from tests.system_in_process import System


@pytest.fixture
async def unknown(system: System) -> dict[str, Any]:
    """An effect of which nobody knows what became of it."""
    actions = AssistantActions(endpoints=(BOOK,))
    await system.services.configurations.apply("default", AssistantConfig(actions=actions), "test")
    system.endpoints.outcomes.append(EndpointFailed(CallFailureKind.UNKNOWN, "the connection dropped"))
    system.perplexity.scripts.append(output("api_call", endpoint="book", params={}))
    await system.send("Book it")
    [effect] = (await system.http.get("/api/effects?status=unknown")).json()["effects"]
    return dict(effect)


async def resolve(system: System, effect_id: str, outcome: str = "confirmed", note: str = "I rang them up") -> Any:
    body = {"outcome": outcome, "note": note}
    return await system.http.post(f"/api/effects/{effect_id}/resolve", json=body)


async def test_a_human_says_what_became_of_it(system: System, unknown: dict[str, Any]) -> None:
    settled = await resolve(system, unknown["id"])
    again = await resolve(system, unknown["id"])
    otherwise = await resolve(system, unknown["id"], "failed")
    other_note = await resolve(system, unknown["id"], note="I saw it in their shop")

    assert (settled.status_code, settled.json()["status"]) == (200, "confirmed")
    assert (settled.json()["settled_by"], settled.json()["note"]) == ("api key test", "I rang them up")
    assert (again.status_code, otherwise.status_code, other_note.status_code) == (200, 409, 409)
    assert other_note.json()["detail"].endswith("confirmed, as api key test said: I rang them up")
    assert (await system.http.get("/api/effects?status=unknown")).json()["effects"] == []
    [turn] = (await system.http.get("/api/session/c-1/turns")).json()
    assert turn["action"]["status"] == "confirmed"


async def test_what_is_known_or_absent_is_not_settled(system: System, unknown: dict[str, Any]) -> None:
    absent = await resolve(system, str(uuid4()))
    without_note = await resolve(system, unknown["id"], note=" ")
    nonsense = await resolve(system, unknown["id"], outcome="maybe")

    assert (absent.status_code, without_note.status_code, nonsense.status_code) == (404, 422, 422)


async def test_the_list_goes_on_where_it_stopped(system: System) -> None:
    for number in range(3):
        system.perplexity.scripts.append(output("create_ticket", subject=f"Lamp {number}", description="Broken"))
        await system.send("My lamp broke")

    first = (await system.http.get("/api/effects?limit=2")).json()
    rest = (await system.http.get("/api/effects", params={"limit": 2, "before": first["next_before"]})).json()

    keys = [effect["key"] for effect in (*first["effects"], *rest["effects"])]
    assert len(set(keys)) == 3
    assert rest["next_before"] is None


@pytest.mark.parametrize("before", ["nonsense", "ZWZmZWN0cyB4IHk", "yesterday", "é"])
async def test_another_lists_place_is_refused(system: System, before: str) -> None:
    refused = await system.http.get("/api/effects", params={"before": before})

    assert refused.status_code == 422
    assert "next_before" in refused.json()["detail"]
