"""What came in and could not be used can be read, with why, and none of it stands in the log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from tests.system_in_process import System, running_system
from tests.whatsapp_bodies import ACCOUNT, message, payload
from tests.whatsapp_customer import SETTINGS, post

LONG = {"notes": "Zanzibar " * 4_000}


@pytest.fixture
async def system(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    async with running_system(postgres_url, temporal_address, worker=False, **SETTINGS) as system:
        yield system


async def test_each_is_listed_as_it_came_with_why(system: System) -> None:
    broken, history = message(id=None), payload(history=[LONG])
    history["entry"][0]["changes"][0]["field"] = "history"
    for body in (payload(messages=[broken]), history, payload(messages=[message(from_user_id="n/a")])):
        assert (await post(system, body)).status_code == 200

    first = (await system.http.get("/api/leftovers?limit=2")).json()
    rest = (await system.http.get("/api/leftovers", params={"before": first["next_before"]})).json()

    told = [*first["leftovers"], *rest["leftovers"]]
    assert [each["why"] for each in told] == [
        "an id in a form that is not known here: from_user_id",
        "field history",
        "a message without our number, its id or its sender",
    ]
    assert [each["raw"] for each in told] == [{"from_user_id": "n/a"}, None, broken]
    assert {(each["channel"], each["account"]) for each in told} == {("whatsapp", ACCOUNT)}
    assert rest["next_before"] is None
    whole = (await system.http.get(f"/api/leftovers/{told[1]['id']}")).json()
    assert whole["raw"]["history"] == [LONG]
    assert whole["bytes"] == told[1]["bytes"] > 20_000


async def test_one_that_is_not_there_is_404_and_nobody_else_reads_them(system: System) -> None:
    assert (await system.http.get(f"/api/leftovers/{uuid4()}")).status_code == 404
    assert (await system.http.get("/api/leftovers/1")).status_code == 422
    assert (await system.http.get("/api/leftovers", headers={"Authorization": "Bearer guessed"})).status_code == 401


async def test_a_message_for_a_number_that_is_not_ours_is_listed(system: System) -> None:
    body = payload(messages=[message()])
    body["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = "999"

    await post(system, body)

    [told] = (await system.http.get("/api/leftovers")).json()["leftovers"]
    assert (told["account"], told["why"], told["raw"]["id"]) == ("999", "not one of our accounts", "wamid.1")


async def test_the_log_tells_why_and_no_words(system: System, capfd: pytest.CaptureFixture[str]) -> None:
    await post(system, payload(messages=[message(id=None, text={"body": "Zanzibar"})]))

    said = "".join(capfd.readouterr())
    assert "a message without our number, its id or its sender" in said
    assert "Zanzibar" not in said
