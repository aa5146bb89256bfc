"""A merge of conversations of which an operator cancelled the run: what the other brings is found by the sweeps."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from schemas.actions import AssistantActions, Confirmation
from schemas.assistants import AssistantConfig
from schemas.conversations import Thread, TurnOutcome, TurnRequest
from storage.ledger import Ledger
from storage.merges import Merges
from storage.questions import Questions
from storage.sessions import Sessions
from storage.waiting import Waiting
from tests.integration.test_moved_questions import PATIENT, TICKET, ask, deliver, going_on
from tests.person_with_two_keys import Person, conversations
from tests.support.attempts import activities, answer, perform
from tests.support.shop import BOOK, output
from tests.system_in_process import System, running_system


@pytest.fixture
async def still(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    async with running_system(postgres_url, temporal_address, worker=False, **PATIENT) as system:
        by = {"create_ticket": Confirmation.STAFF}
        config = AssistantConfig(actions=AssistantActions(endpoints=(BOOK,), confirmations=by))
        await system.services.configurations.apply("default", config, "test")
        yield system


@pytest.fixture
async def person(still: System) -> Person:
    """Two conversations at rest; the older one goes on."""
    person = Person(still)
    await person.by_phone("Hi")
    await person.by_id("Hello")
    for each in await conversations(still):
        await ask(still, each)
        await deliver(still, each)
    return person


async def _stop(system: System, *places: int) -> list[UUID]:
    ids = [each["id"] for each in await conversations(system)]
    for place in places:
        await Sessions(system.database).stop(ids[place])
    return ids


async def _needs_approval(system: System, person: Person) -> None:
    await person.by_id("My lamp broke")
    system.perplexity.scripts.append(TICKET)
    await ask(system, (await conversations(system))[1])


async def _found(system: System) -> dict[str, Any]:
    """What the sweeps find."""
    await system.database.rows("UPDATE actions SET expires_at = agent_now() WHERE status = 'awaiting_confirmation'")
    return {
        "due": {each.conversation_id for each in await Ledger(system.database).abandoned(-1, 60, 10)},
        "over": {each.conversation_id for each in await Questions(system.database).expired(10)},
        "waiting": {each.conversation_id for each in await Waiting(system.database).overdue(-1, 10)},
    }


async def test_replies_and_approvals_that_come_to_a_cancelled_one_are_found(still: System, person: Person) -> None:
    await _stop(still, 0)
    await _needs_approval(still, person)
    await person.reacts_with_both()

    one = {(await going_on(still))["id"]}
    assert await _found(still) == {"due": one, "over": one, "waiting": set()}


async def test_what_was_cancelled_there_is_carried_on_with_it(still: System, person: Person) -> None:
    """As by a message: the customer has come again."""
    await person.by_phone("What does it cost?")
    await _stop(still, 0)
    await _needs_approval(still, person)
    await person.reacts_with_both()

    one = {(await going_on(still))["id"]}
    assert await _found(still) == {"due": one, "over": one, "waiting": one}


async def test_where_nothing_is_brought_it_stays_cancelled(still: System, person: Person) -> None:
    await person.by_phone("What does it cost?")
    await _stop(still, 0)
    await person.reacts_with_both()

    assert await _found(still) == {"due": set(), "over": set(), "waiting": set()}


async def test_what_a_cancelled_one_brings_is_found_in_the_other(still: System, person: Person) -> None:
    await _needs_approval(still, person)
    await person.by_id("Hello?")
    await _stop(still, 1)
    await person.reacts_with_both()

    one = {(await going_on(still))["id"]}
    assert await _found(still) == {"due": one, "over": one, "waiting": one}


async def test_where_both_were_cancelled_both_stay_so_until_the_customer_writes(still: System, person: Person) -> None:
    await _needs_approval(still, person)
    await person.by_id("Hello?")
    await _stop(still, 0, 1)
    await person.reacts_with_both()
    before = await _found(still)
    await person.with_both("Is anybody there?")

    one = {(await going_on(still))["id"]}
    assert before == {"due": set(), "over": set(), "waiting": set()}
    assert await _found(still) == {"due": one, "over": one, "waiting": one}


async def _book_in_both(system: System, person: Person) -> tuple[TurnRequest, TurnOutcome]:
    """An action accepted in each, not done yet, so that each turn ends where it began; that of the merged one."""
    await person.by_phone("Book me a table")
    await person.by_id("Book me a table")
    for each in await conversations(system):
        system.perplexity.scripts.append(output("api_call", endpoint="book", params={}))
        thread = Thread(frontend_context_uuid=uuid4())
        request = TurnRequest(conversation_id=each["id"], cursor=each["cursor"], thread=thread)
        async with activities(system) as does:
            outcome = await answer(does, request)
    return request, outcome


async def _ends(system: System, under_way: tuple[TurnRequest, TurnOutcome]) -> None:
    """The action is done and told; then the merged conversation's run hands over."""
    request, outcome = under_way
    system.perplexity.scripts.append("Booked.")
    async with activities(system) as does:
        await perform(does, request, outcome)
        await answer(does, request)
    await Merges(system.database).hand_over(request.conversation_id)


async def test_what_both_cancelled_had_under_way_waits_for_the_customer(still: System, person: Person) -> None:
    """Also what the merged one cannot bring yet; both are carried on with the next message."""
    under_way = await _book_in_both(still, person)
    one, other = await _stop(still, 0, 1)
    await person.reacts_with_both()
    before = await _found(still)
    await person.with_both("Is anybody there?")
    written = await _found(still)
    await _ends(still, under_way)

    assert before == {"due": set(), "over": set(), "waiting": set()}
    assert written["waiting"] == {one, other}
    assert (await _found(still))["due"] == {one}


async def test_what_ends_late_where_both_were_cancelled_takes_nothing_up(still: System, person: Person) -> None:
    under_way = await _book_in_both(still, person)
    await _stop(still, 0, 1)
    await person.reacts_with_both()
    await _ends(still, under_way)

    assert await _found(still) == {"due": set(), "over": set(), "waiting": set()}


async def test_who_cancels_after_the_merge_cancels_what_it_still_brings(still: System, person: Person) -> None:
    """The customer is one: of the merged one, nobody would know that it has a run of its own."""
    under_way = await _book_in_both(still, person)
    await person.reacts_with_both()
    one, _ = await _stop(still, 0)
    await _ends(still, under_way)
    before = await _found(still)
    await person.with_both("Is anybody there?")

    assert before == {"due": set(), "over": set(), "waiting": set()}
    assert await _found(still) == {"due": {one}, "over": set(), "waiting": {one}}


async def test_what_was_cancelled_in_the_merged_one_alone_ends_there(still: System, person: Person) -> None:
    under_way = await _book_in_both(still, person)
    _, other = await _stop(still, 1)
    await person.reacts_with_both()
    waiting = (await _found(still))["waiting"]
    await _ends(still, under_way)

    assert other in waiting
    assert (await _found(still))["due"] == {(await going_on(still))["id"]}
