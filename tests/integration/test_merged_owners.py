"""Who has the conversation that goes on, and what the bot said, asked or was asked in the one that ended."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from api.authentication import Admitted
from api.routes.sessions import set_state
from schemas.actions import AssistantActions, Confirmation
from schemas.assistants import AssistantConfig
from schemas.requests import StateBody
from schemas.transitions import Event
from storage.api_keys import ApiKey
from tests.person_with_two_keys import USER_ID, Person, conversations
from tests.support.shop import BOOK, CANCEL, output
from tests.support.waiting import until, within
from tests.system_in_process import System, running_system
from tests.whatsapp_bodies import PHONE
from tests.whatsapp_customer import SETTINGS

CANCEL_ORDER = output("api_call", endpoint="cancel_order", params={})


@pytest.fixture
async def system(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    async with running_system(postgres_url, temporal_address, **SETTINGS) as system:
        actions = AssistantActions(endpoints=(CANCEL, BOOK), confirmations={"create_ticket": Confirmation.NONE})
        await system.services.configurations.apply("default", AssistantConfig(actions=actions), "test")
        yield system


@pytest.fixture
async def person(system: System) -> Person:
    """Known twice, both at rest: the older conversation by number, the newer by id."""
    return await Person(system).known_twice()


async def transitions_of(system: System, conversation_id: UUID) -> list[tuple[str, str, str, int]]:
    """From, to, why and the version afterwards, oldest first."""
    rows = await system.database.rows(
        "SELECT from_owner, to_owner, why, version FROM transitions WHERE conversation_id = :id ORDER BY id",
        {"id": conversation_id},
    )
    return [(row["from_owner"], row["to_owner"], row["why"], row["version"]) for row in rows]


async def told(system: System) -> dict[str, str | None]:
    """What became of each reply."""
    rows = await system.database.rows("SELECT text, delivery FROM messages WHERE direction = 'out'")
    return {row["text"]: row["delivery"] for row in rows}


async def ask_to_cancel(system: System, person: Person) -> None:
    """By id: a question to the customer is open then."""
    system.perplexity.scripts.append(CANCEL_ORDER)
    await person.by_id("Cancel my order")
    await person.until_sent(3)
    await person.until_idle()


async def test_a_human_takes_the_one_that_goes_on_under_a_new_version(system: System, person: Person) -> None:
    """It goes on because an action runs in it; what comes of that is theirs to tell."""
    await person.change_state("human_handoff", USER_ID)
    system.endpoints.gate.clear()
    system.perplexity.scripts.extend([output("api_call", endpoint="book", params={}), "Booked."])
    await person.by_phone("Book me a table")
    await until("a call under way", lambda: system.endpoints.calls)

    await person.with_both("It is me")
    older, newer = await conversations(system)
    system.endpoints.gate.set()
    await person.until_idle()

    assert (older["owner"], older["owner_version"], older["taken_version"]) == ("human", 1, 1)
    assert (newer["owner"], newer["owner_version"], newer["merged_into"]) == ("closed", 1, older["id"])
    assert await transitions_of(system, older["id"]) == [("bot", "human", "merged", 1)]
    assert (await transitions_of(system, newer["id"]))[-1] == ("human", "closed", "merged", 1)
    path = f"/api/session/{PHONE}/transitions?channel=whatsapp"
    shown: list[dict[str, Any]] = (await system.http.get(path)).json()
    assert sorted(row["why"] for row in shown) == ["merged", "merged", "taken"]
    assert len(system.endpoints.calls) == 1
    assert len(person.sent) == 2


@pytest.mark.parametrize("event", [Event.TAKEN, Event.CLOSED])
async def test_a_change_that_was_meant_for_the_one_that_ended_is_made_in_the_one_that_goes_on(
    system: System, person: Person, event: Event
) -> None:
    """Somebody looked the session up just before the merge."""
    _, newer = await conversations(system)
    await person.with_both("It is me")
    await person.until_idle()

    changed = await system.services.standings.change(newer["id"], event, who="Ann")

    older, newer = await conversations(system)
    assert changed.conversation_id == older["id"]
    assert (older["owner"], newer["owner"]) == (changed.owner, "closed")
    assert (await transitions_of(system, older["id"]))[-1][1:3] == (changed.owner, event)


async def test_a_take_over_tells_of_the_one_that_goes_on(system: System, person: Person) -> None:
    looked_up = await system.services.sessions.find("whatsapp", USER_ID)
    assert looked_up is not None
    await person.with_both("It is me")
    await person.until_idle()

    key = ApiKey(id=uuid4(), name="test", scopes=frozenset())
    body = StateBody(state="human_handoff", reason="test")
    taken = await set_state(looked_up, body, system.services, key, Admitted(key))

    older, _ = await conversations(system)
    assert (taken.conversation_id, taken.state, taken.in_flight) == (older["id"], "human_handoff", 0)


async def test_what_the_bot_had_to_say_is_withheld_where_a_human_has_the_other(system: System, person: Person) -> None:
    """A reply is on its way, the next one waits behind it: that one does not leave any more."""
    await person.change_state("human_handoff", PHONE)
    system.whatsapp.gate.clear()
    await person.by_id("One")
    await within("a reply on its way", system.whatsapp.held.wait(), lambda: person.sent)
    await person.by_id("Two")
    await until("a reply that waits", lambda: told(system), lambda replies: "You said: Two" in replies)

    await person.with_both("It is me")
    system.whatsapp.gate.set()
    await person.until_idle()

    assert "You said: Two" not in person.sent
    assert (await told(system))["You said: Two"] == "withheld"
    assert (await person.session())["state"] == "human_handoff"


async def test_a_question_to_the_customer_ends_where_a_human_has_the_other(system: System, person: Person) -> None:
    await ask_to_cancel(system, person)
    await person.change_state("human_handoff", PHONE)

    await person.reacts_with_both()

    [action] = await system.database.rows("SELECT status FROM actions")
    assert action["status"] == "cancelled"
    older, _ = await conversations(system)
    assert [row[2] for row in await transitions_of(system, older["id"])] == ["taken", "cancelled"]
    assert (older["owner"], older["owner_version"]) == ("human", 1)


async def test_a_question_opens_the_closed_one_that_goes_on(system: System, person: Person) -> None:
    await ask_to_cancel(system, person)
    await system.database.rows("UPDATE effects SET settled_at = settled_at - interval '30 s' WHERE kind = 'part'")
    await person.change_state("closed", PHONE)

    await person.reacts_with_both()
    opened = await person.session()
    await person.with_both("yes")
    await until("the action done", lambda: system.endpoints.calls)

    assert opened["state"] == "awaiting_confirmation"
    assert [call[0] for call in system.endpoints.calls] == ["cancel_order"]


async def test_what_a_release_asks_about_is_asked_in_the_one_that_goes_on(system: System, person: Person) -> None:
    await person.change_state("human_handoff", USER_ID)
    await person.by_id("Are you there?")
    await person.until_idle()
    system.perplexity.gate.clear()
    await person.change_state("bot", USER_ID)
    await system.until_asked(3)

    await person.with_both("It is me")
    await system.until_asked(4)
    system.perplexity.gate.set()
    await person.until_idle()

    assert person.asked[2:] == ["Are you there?", "Are you there?\n\nIt is me"]
    assert person.sent[2:] == ["You said: Are you there?\n\nIt is me"]
    held = await system.database.rows("SELECT id FROM messages WHERE kind = 'held'")
    assert held == []


async def test_what_a_release_left_unanswered_is_not_asked_about_by_a_merge(system: System, person: Person) -> None:
    """As the assistant's setting says: it stays where it is."""
    config = AssistantConfig.model_validate({"handoff": {"answer_waiting_after_release": False}})
    await system.services.configurations.apply("default", config, "test")
    await person.change_state("human_handoff", USER_ID)
    await person.by_id("Are you there?")
    await person.until_idle()
    await person.change_state("bot", USER_ID)

    await person.with_both("It is me")
    await person.until_sent(3)
    await person.until_idle()

    assert person.asked[2:] == ["It is me"]
