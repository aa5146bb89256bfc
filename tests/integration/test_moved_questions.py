"""A reply that moved by a merge and does not leave any more: its question is counted and answered where it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from integrations.channels.failures import SendFailed, SendFailureKind
from integrations.whatsapp.double import Posted
from schemas.conversations import Deliver, Delivered, Thread, TurnRequest
from schemas.transitions import Event
from storage.standings import Standings
from tests.person_with_two_keys import Person, conversations, owed
from tests.support.attempts import activities, answer
from tests.support.shop import output
from tests.support.waiting import until
from tests.system_in_process import System, running_system
from tests.whatsapp_bodies import PHONE
from tests.whatsapp_customer import SETTINGS

TICKET = output("create_ticket", subject="Lamp", description="Broken lamp")

PATIENT = {**SETTINGS, "take_over_wait_seconds": 1.0}  # nothing gives way on a busy machine


@pytest.fixture
async def still(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    """A system without a worker: the test runs each attempt itself."""
    async with running_system(postgres_url, temporal_address, worker=False, **PATIENT) as system:
        yield system


async def ask(system: System, conversation: dict[str, Any]) -> None:
    thread = Thread(frontend_context_uuid=uuid4())
    request = TurnRequest(conversation_id=conversation["id"], cursor=conversation["cursor"], thread=thread)
    async with activities(system) as does:
        await answer(does, request)


async def deliver(system: System, conversation: dict[str, Any]) -> Delivered:
    async with activities(system) as does:
        return await ActivityEnvironment().run(does.delivery.deliver, Deliver(conversation_id=conversation["id"]))


async def nothing_due(system: System) -> bool:
    """After one more attempt, as often as the channel's pause wants."""
    with suppress(ApplicationError):
        await deliver(system, await going_on(system))
    return not await system.database.rows("SELECT 1 FROM messages WHERE delivery = 'due'")


async def change(system: System, conversation_id: UUID, event: Event) -> None:
    await Standings(system.database).change(conversation_id, event, who="Ann")


async def going_on(system: System) -> dict[str, Any]:
    [one] = [each for each in await conversations(system) if not each["merged_into"]]
    return one


@pytest.fixture
async def person(still: System) -> Person:
    """Two questions, each answered in a conversation of its own, both replies due; then the two are one."""
    person = Person(still)
    await person.by_phone("What does the lamp cost?")
    await person.by_id("Is it in stock?")
    for each in await conversations(still):
        await ask(still, each)
    await person.reacts_with_both()
    return person


async def answer_what_waits(system: System) -> None:
    """As the workflow does."""
    while (one := await going_on(system))["cursor"] < one["newest_seq"]:
        await ask(system, one)
        await deliver(system, one)


async def test_both_questions_are_a_persons_and_answered_after_the_release(still: System, person: Person) -> None:
    one = await going_on(still)
    await change(still, one["id"], Event.TAKEN)
    await deliver(still, one)
    await answer_what_waits(still)
    held = (await person.session())["held"]
    silent = list(person.sent)
    await change(still, one["id"], Event.RELEASED)
    await answer_what_waits(still)

    assert (held, silent) == (2, [])
    assert sorted("\n\n".join(person.sent).split("\n\n")) == ["Is it in stock?", "You said: What does the lamp cost?"]
    assert await owed(still) == []
    assert (await person.session())["held"] == 0


async def test_released_before_the_reply_is_withheld_it_is_answered_too(still: System, person: Person) -> None:
    one = await going_on(still)
    await change(still, one["id"], Event.TAKEN)
    await change(still, one["id"], Event.RELEASED)
    delivered = await deliver(still, one)
    await answer_what_waits(still)

    assert delivered.waiting_seq is not None
    assert len([text for text in person.sent if "lamp" in text]) == 1
    assert len([text for text in person.sent if "stock" in text]) == 1
    assert await owed(still) == []


async def test_what_a_person_has_answered_since_is_not_asked_again(still: System, person: Person) -> None:
    one = await going_on(still)
    await change(still, one["id"], Event.TAKEN)
    await deliver_and_let(still, one, "Ten ringgit, and yes.")
    await change(still, one["id"], Event.RELEASED)
    await answer_what_waits(still)

    assert person.sent == ["Ten ringgit, and yes."]
    assert (await person.session())["held"] == 0


async def deliver_and_let(system: System, conversation: dict[str, Any], text: str) -> None:
    """A person writes before the bot's replies come to be withheld."""
    address = f"/api/session/{PHONE}/messages?channel=whatsapp"
    (await system.http.post(address, json={"text": text, "agent_name": "Ann"})).raise_for_status()
    await deliver(system, conversation)


async def test_a_part_under_way_at_the_merge_is_withheld_and_its_question_answered(still: System) -> None:
    """A person has the conversation that goes on, and the channel says that the part did not arrive."""
    person = Person(still)
    await person.by_phone("What does the lamp cost?")
    await person.by_id("Is it in stock?")
    older, newer = await conversations(still)
    for each in (older, newer):
        await ask(still, each)
    await deliver(still, older)
    await change(still, older["id"], Event.TAKEN)

    async def merged(_posted: Posted) -> None:
        await person.reacts_with_both()
        raise SendFailed(SendFailureKind.TRANSIENT, "not reached")

    still.whatsapp.before_answering.append(merged)
    with suppress(ApplicationError):
        await deliver(still, newer)
    await until("nothing due", lambda: nothing_due(still))
    await answer_what_waits(still)
    held = (await person.session())["held"]
    await change(still, older["id"], Event.RELEASED)
    await answer_what_waits(still)

    assert held == 1
    assert person.sent[-1] == "You said: Is it in stock?"
    assert await owed(still) == []


async def test_what_was_done_is_told_and_not_asked_again(still: System) -> None:
    person = Person(still)
    await person.by_phone("Hello")
    still.perplexity.scripts.append(TICKET)
    await person.by_id("My lamp broke")
    older, newer = await conversations(still)
    await ask(still, newer)
    await ask(still, older)
    await person.reacts_with_both()
    one = await going_on(still)
    await change(still, one["id"], Event.TAKEN)
    await deliver(still, one)
    await change(still, one["id"], Event.RELEASED)
    await deliver(still, one)
    await answer_what_waits(still)

    assert "I have opened a ticket for you. Its number is T-1001." in person.sent
    assert [text for text in person.asked if "lamp" in text] == ["My lamp broke"]
    assert await owed(still) == []


@pytest.mark.parametrize("held", [True, False])
async def test_what_a_person_said_elsewhere_before_the_merge_is_no_answer(still: System, *, held: bool) -> None:
    """They wrote in the conversation that goes on, and had never seen the question of the other.

    *held*: a turn finds it under the person; else it is answered at once after the release.
    """
    person = Person(still)
    await person.by_phone("What does the lamp cost?")
    await person.by_id("Is it in stock?")
    for each in await conversations(still):
        await ask(still, each)
    address = f"/api/session/{PHONE}/messages?channel=whatsapp"
    (await still.http.post(address, json={"text": "We are open until 6.", "agent_name": "Ann"})).raise_for_status()
    await person.reacts_with_both()
    one = await going_on(still)
    await change(still, one["id"], Event.TAKEN)
    await deliver(still, one)
    if held:
        await answer_what_waits(still)
        assert (await person.session())["held"] == 1
    await change(still, one["id"], Event.RELEASED)
    await answer_what_waits(still)

    assert person.sent == ["We are open until 6.", "You said: Is it in stock?"]
    assert (await person.session())["held"] == 0


async def test_words_of_what_was_done_are_told_after_what_a_person_said_elsewhere(still: System) -> None:
    person = Person(still)
    await person.by_phone("What does the lamp cost?")
    await person.by_id("My lamp broke")
    one, other = await conversations(still)
    await ask(still, one)
    still.perplexity.scripts.append(TICKET)
    await ask(still, other)
    address = f"/api/session/{PHONE}/messages?channel=whatsapp"
    (await still.http.post(address, json={"text": "We are open until 6.", "agent_name": "Ann"})).raise_for_status()
    await person.reacts_with_both()
    await change(still, one["id"], Event.TAKEN)
    await deliver(still, one)
    await change(still, one["id"], Event.RELEASED)
    await deliver(still, one)

    assert person.sent == ["We are open until 6.", "I have opened a ticket for you. Its number is T-1001."]
