"""One event carries both keys of two customers: one conversation goes on, with all that the other owes, each once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from integrations.perplexity.port import ModelPrompt
from schemas.actions import AssistantActions, Confirmation
from schemas.assistants import AssistantConfig
from storage.erasure import Erasure
from storage.exports import Exports
from storage.overview import Overview
from storage.tables import metadata
from tests.person_with_two_keys import USER_ID, Person, conversations, owed, until_ended
from tests.support.shop import BOOK, CANCEL, output
from tests.support.waiting import until
from tests.system_in_process import System, running_system
from tests.whatsapp_bodies import PHONE
from tests.whatsapp_customer import SETTINGS, Customer

TICKET = output("create_ticket", subject="Lamp", description="Broken lamp")


@pytest.fixture
async def system(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    async with running_system(postgres_url, temporal_address, **SETTINGS) as system:
        actions = AssistantActions(endpoints=(CANCEL, BOOK), confirmations={"create_ticket": Confirmation.NONE})
        await system.services.configurations.apply("default", AssistantConfig(actions=actions), "test")
        yield system


@pytest.fixture
def person(system: System) -> Person:
    return Person(system)


@pytest.fixture
async def twice_known(person: Person) -> Person:
    """Two conversations at rest: the older by number, the newer by id."""
    return await person.known_twice()


async def test_a_question_under_way_is_asked_in_the_conversation_that_goes_on(system: System, person: Person) -> None:
    await person.by_phone("I am known by phone")
    await person.until_sent(1)
    system.perplexity.gate.clear()
    await person.by_id("I came by id alone")
    await system.until_asked(2)

    await person.with_both("now both")
    await system.until_asked(3)
    system.perplexity.gate.set()
    await person.until_idle()

    older, newer = await conversations(system)
    assert person.asked[:3] == ["I am known by phone", "I came by id alone", "I came by id alone\n\nnow both"]
    assert person.sent == ["You said: I am known by phone", "You said: I came by id alone\n\nnow both"]
    assert (older["merged_into"], newer["merged_into"]) == (None, older["id"])
    await until_ended(system, newer["workflow_id"])
    turns = (await system.http.get(f"/api/session/{PHONE}/turns?channel=whatsapp")).json()
    assert [(turn["status"], [each["verdict"] for each in turn["attempts"]]) for turn in turns] == [
        ("answered", ["text"]),
        ("held", ["text"]),
        ("answered", ["text"]),
    ]
    dropped = turns[1]
    assert (dropped["conversation_id"], dropped["message_id"]) == (str(newer["id"]), "")
    assert dropped["attempts"][0]["raw_output"] == "You said: I came by id alone"
    [late] = await system.database.rows("SELECT used FROM raw_outputs WHERE conversation_id = :id", {"id": newer["id"]})
    assert late["used"] is False
    [slots] = await system.database.rows("SELECT count(*) AS n FROM account_calls WHERE ended_at IS NULL")
    assert slots["n"] == 0


async def test_either_key_finds_the_one_conversation_with_all_threads_and_turns(
    system: System, twice_known: Person
) -> None:
    before = [await twice_known.session(key) for key in (PHONE, USER_ID)]

    await twice_known.with_both("It is me")
    await twice_known.until_sent(3)
    await twice_known.until_idle()

    after = [await twice_known.session(key) for key in (PHONE, f"+{PHONE}", USER_ID)]
    assert {session["conversation_id"] for session in after} == {before[0]["conversation_id"]}
    assert after[0]["thread"]["frontend_context_uuid"] == before[0]["thread"]["frontend_context_uuid"]
    path = f"/api/session/{USER_ID}"
    threads = (await system.http.get(f"{path}/thread?channel=whatsapp")).json()
    ended = {thread["frontend_context_uuid"]: thread["ended_because"] for thread in threads["history"]}
    assert [ended[session["thread"]["frontend_context_uuid"]] for session in before] == [None, "merged"]
    turns = (await system.http.get(f"{path}/turns?channel=whatsapp")).json()
    assert [turn["reply"]["text"] for turn in turns] == [f"You said: {text}" for text in reversed(SAID)]
    overview = Overview(system.database)
    assert len(await overview.conversations(10)) == 1
    assert len(await overview.messages(UUID(after[0]["conversation_id"]), 10)) == 6


SAID = ("I am known by phone", "I came by id", "It is me")


async def test_a_reply_that_is_due_goes_out_once_and_before_the_next(system: System, person: Person) -> None:
    await person.by_phone("I am known by phone")
    await person.until_sent(1)
    system.whatsapp.gate.clear()
    await person.by_id("I came by id")
    await until("a reply held back", system.whatsapp.held.is_set)

    await person.with_both("It is me")
    await system.until_asked(3)
    system.whatsapp.gate.set()
    await person.until_idle()

    assert person.sent == [f"You said: {text}" for text in SAID]
    assert system.whatsapp.sent[-1].request.recipient.user_id == USER_ID


async def test_an_open_question_is_answered_in_the_conversation_that_goes_on(system: System, person: Person) -> None:
    await person.by_phone("I am known by phone")
    await person.until_sent(1)
    system.perplexity.scripts.append(output("api_call", endpoint="cancel_order", params={}))
    await person.by_id("Cancel my order")
    await person.until_sent(2)
    await person.until_idle()
    await system.database.rows("UPDATE effects SET settled_at = settled_at - interval '30 s' WHERE kind = 'part'")

    await person.reacts_with_both()
    [question] = (await person.session())["questions"]
    await person.with_both("yes")
    await person.until_sent(3)

    assert question["action"] == "api_call"
    assert [call[0] for call in system.endpoints.calls] == ["cancel_order"]
    assert [text for text in person.asked if "yes" in text] == []


async def test_of_two_open_questions_the_newer_stays_open(system: System, person: Person) -> None:
    system.perplexity.scripts.append(output("api_call", endpoint="cancel_order", params={}))
    await person.by_phone("Cancel my order")
    await person.until_sent(1)
    system.perplexity.scripts.append(output("api_call", endpoint="cancel_order", params={}))
    await person.by_id("Cancel my order")
    await person.until_sent(2)
    await person.until_idle()

    await person.reacts_with_both()

    older, newer = await conversations(system)
    actions = await system.database.rows("SELECT status, conversation_id FROM actions ORDER BY created_at")
    assert [action["status"] for action in actions] == ["cancelled", "awaiting_confirmation"]
    assert actions[1]["conversation_id"] == older["id"]
    assert (older["state"], newer["state"]) == ("awaiting_confirmation", "closed")


async def test_a_human_who_has_one_has_the_one_that_goes_on(system: System, twice_known: Person) -> None:
    await twice_known.change_state("human_handoff", PHONE)
    await twice_known.by_phone("Are you there?")
    await twice_known.until_idle()

    await twice_known.with_both("It is me")
    await twice_known.until_idle()

    session = await twice_known.session(USER_ID)
    assert session["state"] == "human_handoff"
    assert session["handoff"]["opened_by"] == "api key test"
    assert len(twice_known.sent) == len(twice_known.asked) == 2


async def test_a_handoff_takes_the_question_under_way_from_the_bot(system: System, person: Person) -> None:
    """A human has the newer one; the older one, which goes on for its action, is being answered."""
    await person.by_phone("I am known by phone")
    await person.until_sent(1)
    await person.by_id("I came by id")
    await person.until_sent(2)
    await person.change_state("human_handoff", USER_ID)
    system.perplexity.gate.clear()
    await person.by_phone("What about my lamp?")
    await system.until_asked(3)

    await person.with_both("It is me")
    await until("all messages held", lambda: owed(system), lambda left: not left)
    system.perplexity.gate.set()
    await person.until_idle()

    assert len(person.sent) == 2
    assert (await person.session())["state"] == "human_handoff"


async def test_what_a_human_has_not_answered_waits_for_the_human_still(system: System, person: Person) -> None:
    """The held messages of the conversation that ends are held in the one that goes on, in which an action runs."""
    system.endpoints.gate.clear()
    await person.by_id("I came by id")
    await person.until_sent(1)
    await person.change_state("human_handoff", USER_ID)
    await person.by_id("Are you there?")
    await person.until_idle()
    system.perplexity.scripts.append(output("api_call", endpoint="book", params={}))
    await person.by_phone("Book me a table")
    await until("a call under way", lambda: system.endpoints.calls)

    await person.with_both("It is me")
    session = await person.session()
    system.endpoints.gate.set()

    assert session["waiting_messages"] == 3  # what is booked for, what was held, and the newest
    held = await system.database.rows(
        "SELECT m.text FROM messages m WHERE conversation_id = :id AND direction = 'in' ORDER BY seq",
        {"id": session["conversation_id"]},
    )
    assert [row["text"] for row in held] == ["Book me a table", "Are you there?", "It is me"]


async def test_the_conversation_with_an_action_under_way_goes_on(system: System, person: Person) -> None:
    system.endpoints.gate.clear()
    await person.by_phone("I am known by phone")
    await person.until_sent(1)
    system.perplexity.scripts.extend([output("api_call", endpoint="book", params={}), "Booked."])
    await person.by_id("Book me a table")
    await until("a call under way", lambda: system.endpoints.calls)

    await person.with_both("And a taxi")
    system.endpoints.gate.set()
    await person.until_sent(3)
    await person.until_idle()

    older, newer = await conversations(system)
    assert (older["merged_into"], newer["merged_into"]) == (newer["id"], None)
    assert person.sent[1:] == ["Booked.", "You said: And a taxi"]
    assert [call[0] for call in system.endpoints.calls] == ["book"]


async def test_actions_under_way_in_both_end_where_they_began_and_each_is_told(system: System, person: Person) -> None:
    system.endpoints.gate.clear()
    for ask, number in ((person.by_phone, 1), (person.by_id, 2)):
        system.perplexity.scripts.append(output("api_call", endpoint="book", params={}))
        await ask("Book me a table")
        await until(f"call {number}", lambda: system.endpoints.calls, lambda calls, n=number: len(calls) == n)
    system.perplexity.scripts.extend([_booked_or_taxi] * 3)

    await person.with_both("And a taxi")
    system.endpoints.gate.set()
    await person.until_sent(3)
    await person.until_idle()

    assert sorted(person.sent) == ["Booked.", "Booked.", "It comes."]
    assert len(system.endpoints.calls) == 2
    _, newer = await conversations(system)
    await until_ended(system, newer["workflow_id"])


def _booked_or_taxi(question: ModelPrompt) -> str:
    """The taxi may be asked about before either result."""
    return "It comes." if "taxi" in question.text else "Booked."


async def test_a_ticket_of_either_is_found_in_the_one_that_goes_on(system: System, person: Person) -> None:
    await person.by_phone("I am known by phone")
    await person.until_sent(1)
    system.perplexity.scripts.append(TICKET)
    await person.by_id("My lamp is broken")
    await person.until_sent(2)
    await person.until_idle()

    await person.with_both("It is me")
    await person.until_idle()

    assert len((await person.session())["tickets"]) == 1


async def test_an_erasure_and_an_export_find_both(system: System, twice_known: Person) -> None:
    """Also by the id of the customer who turned out to be the other one."""
    old_ids = [row["id"] for row in await system.database.rows("SELECT id FROM customers ORDER BY created_at")]
    await twice_known.with_both("It is me")
    await twice_known.until_sent(3)
    await twice_known.until_idle()

    documents = [await Exports(system.database).customer(customer_id) for customer_id in old_ids]
    erased = await Erasure(system.database).erase(old_ids[0], actor="test")

    for document in documents:
        said = {message["text"] for message in document["messages"]}
        assert said == {*SAID, *(f"You said: {text}" for text in SAID)}
        assert len(document["threads"]) == len(document["conversations"]) == 2
    assert erased.conversations == 2
    for table in metadata.tables:
        rows = await system.database.rows(f"SELECT to_jsonb({table})::text AS row FROM {table}")
        assert not [row for row in rows if PHONE in row["row"] or USER_ID in row["row"] or "known by" in row["row"]]


async def test_whose_address_is_somebody_elses_by_now_is_not_written_to(system: System, person: Person) -> None:
    """An id comes with another number than its own: the number's owner until now may be another person."""
    newer = "15550001412"
    await Customer(system).write("I have both keys", from_user_id=USER_ID)
    await person.until_sent(1)
    system.perplexity.gate.clear()
    await Customer(system, newer).write("My secret")
    await system.until_asked(2)

    await Customer(system, newer).write("It is me", from_user_id=USER_ID)
    await system.until_asked(3)
    system.perplexity.gate.set()
    await person.until_sent(2)
    await person.until_idle()

    assert person.sent == ["You said: I have both keys", "You said: It is me"]
    [note] = await system.database.rows("SELECT text FROM messages WHERE kind = 'note'")
    assert "could not be delivered" in note["text"]


async def test_late_trouble_with_a_reply_of_the_ended_one_is_mended_in_the_other(
    system: System, twice_known: Person
) -> None:
    """A reply that was sent before the merge turns out to have failed after it: sent again, by the one that goes on."""
    lost = system.whatsapp.sent[1]
    await twice_known.with_both("It is me")
    await twice_known.until_sent(3)
    await twice_known.until_idle()

    await Customer(system).status(lost, "failed", 131000)
    await twice_known.until_sent(4)
    await twice_known.until_idle()

    assert twice_known.sent[3] == lost.text
    _, newer = await conversations(system)
    await until_ended(system, newer["workflow_id"])
