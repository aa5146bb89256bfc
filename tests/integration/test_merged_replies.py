"""Staff's reply under an Idempotency-Key is said once, also where two conversations became one between two calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.person_with_two_keys import USER_ID, Person, conversations
from tests.system_in_process import System, running_system
from tests.whatsapp_bodies import PHONE
from tests.whatsapp_customer import SETTINGS

SAID = "Your refund of 20 is on its way. Ann"


@pytest.fixture
async def still(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    async with running_system(postgres_url, temporal_address, worker=False, **SETTINGS) as system:
        yield system


@pytest.fixture
async def person(still: System) -> Person:
    """Two conversations; the older one goes on."""
    person = Person(still)
    await person.by_phone("I am known by phone")
    await person.by_id("I came by id")
    return person


async def reply(system: System, name: str, text: str = SAID, key: str | None = "refund-1") -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    body = {"text": text, "agent_name": "Ann"}
    return await system.http.post(f"/api/session/{name}/messages?channel=whatsapp", json=body, headers=headers)


async def replies(system: System) -> list[str]:
    rows = await system.database.rows("SELECT text FROM messages WHERE author = 'agent' ORDER BY stored_at")
    return [row["text"] for row in rows]


@pytest.mark.parametrize("name", [PHONE, USER_ID], ids=["to the one that goes on", "to the one that is merged"])
async def test_a_reply_that_is_repeated_after_a_merge_is_the_first(still: System, person: Person, name: str) -> None:
    first = await reply(still, name)
    await person.reacts_with_both()
    again = await reply(still, USER_ID)
    otherwise = await reply(still, name, "Something else")

    [going_on, merged] = await conversations(still)
    assert merged["merged_into"] == going_on["id"]
    assert (first.status_code, again.status_code, otherwise.status_code) == (202, 202, 409)
    assert again.json() == {**first.json(), "conversation_id": str(going_on["id"])}
    assert await replies(still) == [SAID]


async def test_without_a_key_or_under_another_each_is_a_reply(still: System, person: Person) -> None:
    await person.reacts_with_both()
    for key in (None, None, "refund-1", "refund-2"):
        assert (await reply(still, PHONE, key=key)).status_code == 202

    assert await replies(still) == [SAID] * 4


async def test_two_customers_may_use_one_key(still: System, person: Person) -> None:
    assert (await reply(still, PHONE, "To one")).status_code == 202
    assert (await reply(still, USER_ID, "To the other")).status_code == 202
    await person.reacts_with_both()

    assert (await reply(still, PHONE, "To one")).status_code == 202
    assert await replies(still) == ["To one", "To the other"]


async def test_a_reply_to_a_conversation_that_was_merged_since_is_in_the_one_that_goes_on(
    still: System, person: Person
) -> None:
    [going_on, merged] = await conversations(still)
    await person.reacts_with_both()

    added = await still.services.outbox.add_reply(merged["id"], SAID, author_name="Ann", key="k")

    assert added is not None
    assert added.conversation_id == going_on["id"]
    assert added.needs_delivery
