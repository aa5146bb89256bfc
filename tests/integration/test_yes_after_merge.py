"""A yes after a merge counts only if all that the customer wrote since, in any of the conversations, says yes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from schemas.actions import AssistantActions, Endpoint
from schemas.assistants import AssistantConfig
from schemas.conversations import NextStep, Thread, TurnRequest
from tests.integration.test_moved_questions import PATIENT, ask, deliver, going_on
from tests.person_with_two_keys import Person, conversations
from tests.support.attempts import activities, answer, perform
from tests.support.shop import CANCEL, output
from tests.support.stopping_database import DatabaseStop
from tests.support.waiting import within
from tests.system_in_process import System, running_system

PAY = Endpoint(
    name="pay", description="Pays 500 ringgit", method="POST", url="https://shop.example/pay", destructive=True
)
PAYS = output("api_call", endpoint="pay", params={})


@asynccontextmanager
async def still_system(postgres_url: str, temporal_address: str, **more: Any) -> AsyncIterator[System]:
    async with running_system(postgres_url, temporal_address, worker=False, **PATIENT, **more) as system:
        config = AssistantConfig(actions=AssistantActions(endpoints=(CANCEL, PAY), unclear_answer="keep"))
        await system.services.configurations.apply("default", config, "test")
        yield system


@pytest.fixture
async def still(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    async with still_system(postgres_url, temporal_address) as system:
        yield system


async def _asked(system: System, conversation: dict[str, Any], *, ago: int) -> None:
    """The customer is asked whether to pay, so many seconds ago."""
    system.perplexity.scripts.append(PAYS)
    await ask(system, conversation)
    await deliver(system, conversation)
    await _age(system, ago)


async def _age(system: System, seconds: int) -> None:
    back = "- make_interval(secs => :seconds)"
    values = {"seconds": seconds}
    await system.database.rows(
        f"UPDATE effects SET settled_at = settled_at {back}, claimed_at = claimed_at {back} WHERE kind = 'part'", values
    )
    await system.database.rows(f"UPDATE actions SET created_at = created_at {back}", values)
    await system.database.rows(
        f"UPDATE messages SET stored_at = stored_at {back}, sent_at = sent_at {back} WHERE direction = 'in'", values
    )


async def _says_yes(system: System, person: Person) -> None:
    """In the message that shows that the two are one."""
    await person.with_both("yes")
    one = await going_on(system)
    thread = Thread(frontend_context_uuid=one["id"])
    request = TurnRequest(conversation_id=one["id"], cursor=one["cursor"], thread=thread)
    async with activities(system) as does:
        outcome = await answer(does, request)
        while outcome.step is not NextStep.FINISHED:
            does_next = perform(does, request, outcome) if outcome.step is NextStep.PERFORM else answer(does, request)
            outcome = await does_next


def _paid(system: System) -> list[str]:
    return [call[0] for call in system.endpoints.calls]


@pytest.fixture
async def person(still: System) -> Person:
    return await _known_twice(still)


async def _known_twice(still: System) -> Person:
    """Both conversations are answered once; whichever is asked, the older one goes on."""
    person = Person(still)
    await person.by_phone("Hi")
    await person.by_id("Hello")
    for each in await conversations(still):
        await ask(still, each)
        await deliver(still, each)
    await _age(still, 60)
    return person


@pytest.mark.parametrize("asked", ["newer", "older"])
@pytest.mark.parametrize("is_answered", [True, False])
async def test_a_yes_after_a_no_in_the_other_conversation_is_the_models(
    still: System, person: Person, asked: str, *, is_answered: bool
) -> None:
    says_no, asks = (person.by_phone, person.by_id) if asked == "newer" else (person.by_id, person.by_phone)
    other, of = (0, 1) if asked == "newer" else (1, 0)
    await asks("Pay it")
    await _asked(still, (await conversations(still))[of], ago=30)
    await says_no("no, do not pay!")
    if is_answered:
        one = (await conversations(still))[other]
        await ask(still, one)
        await deliver(still, one)
    await _says_yes(still, person)

    assert _paid(still) == []
    assert "yes" in still.perplexity.prompts[-1].text


@pytest.mark.parametrize("join", [True, False])
@pytest.mark.parametrize("claimed", [True, False])
async def test_a_no_that_a_merge_brings_before_the_yes_is_committed_counts(
    postgres_url: str, temporal_address: str, *, join: bool, claimed: bool
) -> None:
    """Also where it is moved behind the yes, and each message is answered by itself."""
    async with still_system(postgres_url, temporal_address, join_waiting_messages=join) as still:
        person = await _known_twice(still)
        await person.by_phone("Pay it")
        older = (await conversations(still))[0]
        await _asked(still, older, ago=30)
        await person.by_id("no, do not pay!")
        await person.by_phone("yes")
        thread = Thread(frontend_context_uuid=older["id"])
        request = TurnRequest(conversation_id=older["id"], cursor=older["newest_seq"], thread=thread)
        before_commit = DatabaseStop("the commit of a step")
        if claimed:
            async with activities(still, before_commit) as does:
                says_yes = asyncio.create_task(answer(does, request))
                await within("the commit", before_commit.reached.wait(), lambda: says_yes)
                await person.reacts_with_both()
                before_commit.released.set()
                assert (await says_yes).step is NextStep.AGAIN
        else:
            await person.reacts_with_both()
        async with activities(still) as does:
            await answer(does, request)

        assert _paid(still) == []
        assert "yes" in still.perplexity.prompts[-1].text


async def test_a_yes_counts_where_nothing_was_written_since(still: System, person: Person) -> None:
    await person.by_id("Pay it")
    await _asked(still, (await conversations(still))[1], ago=30)
    await _says_yes(still, person)

    assert _paid(still) == ["pay"]


async def test_what_was_written_elsewhere_before_the_question_leaves_no_doubt(still: System, person: Person) -> None:
    await person.by_id("Pay it")
    await person.by_phone("Are you there?")
    older, newer = await conversations(still)
    await ask(still, older)
    await _asked(still, newer, ago=30)
    await _says_yes(still, person)

    assert _paid(still) == ["pay"]


@pytest.mark.parametrize("known", ["by a late status", "once it was sent again"])
async def test_a_no_before_it_was_known_that_the_question_arrived_counts(
    still: System, person: Person, known: str
) -> None:
    """They answered a question of which nobody knew, or which had failed as far as we knew."""
    await person.by_id("Pay it")
    await _asked(still, (await conversations(still))[1], ago=30)
    await person.by_id("no wait, do not pay")
    one = (await conversations(still))[1]
    await ask(still, one)
    await deliver(still, one)
    later = "settled_at = agent_now() + interval '1 s'"
    if known == "once it was sent again":
        later += ", claimed_at = agent_now() + interval '1 s', attempts = 2, failed_fence = 1"
    question = "SELECT m.id FROM messages m JOIN actions a ON a.turn_id = m.turn_id"
    await still.database.rows(f"UPDATE effects SET {later} WHERE message_id IN ({question})")
    await still.database.rows("UPDATE messages SET sent_at = agent_now() WHERE text LIKE 'no wait%'")
    await _writes_yes_later(still, person)

    assert _paid(still) == []


async def _writes_yes_later(system: System, person: Person) -> None:
    await person.by_id("yes")
    await system.database.rows("UPDATE messages SET sent_at = agent_now() + interval '5 s' WHERE text = 'yes'")
    one = (await conversations(system))[1]
    request = TurnRequest(
        conversation_id=one["id"], cursor=one["cursor"], thread=Thread(frontend_context_uuid=one["id"])
    )
    async with activities(system) as does:
        outcome = await answer(does, request)
        if outcome.step is NextStep.PERFORM:
            await perform(does, request, outcome)
