"""Names and ids as people and programs have them: every script's letters, and what joins them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.system_in_process import System, running_system

NAMES = {
    "joined by a non-joiner": "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627",
    "a no-break space": "Jean\u00a0Dupont",
    "an emoji of several": "\U0001f469\u200d\U0001f4bb Ana",
    "a flag of tags": "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "an ideographic space": "\u5c71\u7530\u3000\u592a\u90ce",
    "with a direction": "\u200f\u05d3\u05d5\u05d3\u200e",
    "a number from a contact list": "\u202a+60 12-345\u202c",
    "a soft hyphen": "Donau\u00addampf",
    "a private letter": "\ue000x",
    "a letter of next year": "\U0003fffdx",
    "a percent sign, a slash": "50%/2F",
}
NO_NAMES = {
    "a line break": "a\nb",
    "another": "a\u2028b",
    "a third": "a\u2029b",
    "a tab": "a\tb",
    "a control": "a\u0085b",
    "an escape": "a\x1b[31mb",
    "nothing that shows": "\u200b\u2060",
}


@pytest.fixture(scope="module")
async def system(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    """One for all: each has a name of its own."""
    async with running_system(postgres_url, temporal_address) as system:
        yield system


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
async def test_it_is_taken(system: System, name: str) -> None:
    answered = await system.send("Hello", customer=name, message_id=name)
    again = await system.http.post(
        "/api/message", json={"customer_id": name, "text": "Hello"}, headers={"Idempotency-Key": name.encode()}
    )
    await system.send("Hello")
    replied = await system.http.post("/api/session/c-1/messages", json={"text": "On its way.", "agent_name": name})

    assert [answered.status_code, again.status_code, replied.status_code] == [200, 200, 202]
    assert again.json()["turn_id"] == answered.json()["turn_id"]


@pytest.mark.parametrize("name", NO_NAMES.values(), ids=NO_NAMES)
async def test_what_breaks_a_line_or_shows_nothing_is_refused(system: System, name: str) -> None:
    for body in ({"customer_id": name}, {"customer_id": "c-1", "message_id": name}):
        refused = await system.http.post("/api/message", json={"text": "Hello", **body})

        assert refused.status_code == 422
        [error] = refused.json()["errors"]
        assert error["message"].startswith("must ")
