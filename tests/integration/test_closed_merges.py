"""What came before a close opens nothing, in the conversation that goes on after a merge either."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.transitions import Event
from tests.integration.test_moved_questions import answer_what_waits, ask, change, deliver, going_on, person, still
from tests.person_with_two_keys import Person, conversations, owed
from tests.support.waiting import until
from tests.system_in_process import System

__all__ = ["person", "still"]


@pytest.fixture
async def closed(still: System) -> Person:
    """Two conversations, each closed by a person who left a message unanswered; then the two are one."""
    known = Person(still)
    await known.by_phone("What does the lamp cost?")
    await known.by_id("Is it in stock?")
    for each in await conversations(still):
        await change(still, each["id"], Event.TAKEN)
        await ask(still, each)
        await change(still, each["id"], Event.CLOSED)
    await known.reacts_with_both()
    return known


async def test_what_both_held_before_they_were_closed_opens_nothing(still: System, closed: Person) -> None:
    await answer_what_waits(still)

    one = await going_on(still)
    assert (one["owner"], (await closed.session())["held"]) == ("closed", 2)
    assert (closed.sent, still.perplexity.prompts) == ([], [])


async def test_a_later_message_opens_it_and_all_is_answered(still: System, closed: Person) -> None:
    await answer_what_waits(still)
    await closed.with_both("Hello?")
    await answer_what_waits(still)

    asked = "\n".join(closed.asked)
    assert (await going_on(still))["owner"] == "bot"
    assert all(asked.count(words) == 1 for words in ("What does the lamp cost?", "Is it in stock?", "Hello?"))
    assert (await owed(still), (await closed.session())["held"]) == ([], 0)


async def test_a_message_that_came_after_the_close_opens_the_one_that_goes_on(still: System) -> None:
    """Nobody had taken it up when the two became one."""
    known = Person(still)
    await known.by_phone("What does the lamp cost?")
    await known.by_id("Is it in stock?")
    for each in await conversations(still):
        await change(still, each["id"], Event.CLOSED)
    await known.by_id("Hello?")
    await known.reacts_with_both()
    await answer_what_waits(still)

    assert (await going_on(still))["owner"] == "bot"
    assert "Hello?" in "\n".join(known.asked)
    assert await owed(still) == []


async def test_what_waits_in_the_one_that_goes_on_opens_it_though_older_words_come_behind(still: System) -> None:
    known = Person(still)
    await known.by_phone("What does the lamp cost?")
    await known.by_id("Is it in stock?")
    for each in await conversations(still):
        await change(still, each["id"], Event.CLOSED)
    await known.by_phone("Hello?")
    await known.reacts_with_both()
    await answer_what_waits(still)

    assert (await going_on(still))["owner"] == "bot"
    assert "Hello?" in "\n".join(known.asked)


async def test_a_reply_that_moved_and_is_withheld_after_the_close_brings_a_question_that_opens_nothing(
    still: System, person: Person
) -> None:
    one = await going_on(still)
    await change(still, one["id"], Event.TAKEN)
    await change(still, one["id"], Event.CLOSED)
    await deliver(still, one)
    await answer_what_waits(still)

    async def held() -> Any:
        return (await person.session())["held"]

    await until("both are held", held, lambda count: count == 2)
    assert ((await going_on(still))["owner"], person.sent) == ("closed", [])
