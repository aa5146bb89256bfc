"""A merge of a merge: the thread that goes on is told once of all that was said elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from storage.standings import Standings
from tests.integration.test_merged_keys import ELSE, ID, NEW, OLD, Doors
from tests.integration.test_moved_questions import ask
from tests.person_with_two_keys import conversations
from tests.support.clock import NOW
from tests.system_in_process import System, running_system
from tests.whatsapp_customer import SETTINGS

BEGAN = NOW + timedelta(seconds=30)
CHANGED = NOW + timedelta(seconds=20)


@pytest.fixture
async def system(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    async with running_system(postgres_url, temporal_address, worker=False, **SETTINGS) as system:
        yield system


@pytest.fixture
def doors(system: System) -> Doors:
    return Doors(system)


async def answer_all(system: System) -> None:
    for each in await conversations(system):
        if each["cursor"] < each["newest_seq"]:
            await ask(system, each)


async def meet_twice(system: System, doors: Doors, *, answered: bool) -> None:
    """By id and by the new number: two conversations, then one. *answered*: its thread is told of the other."""
    await doors.comes(None, ID, text="I came by id", sent_at=BEGAN)
    await doors.comes(NEW, text="My new number", sent_at=BEGAN)
    await answer_all(system)
    await doors.comes(NEW, ID, text="Both are mine", sent_at=BEGAN)
    if answered:
        await answer_all(system)


def told(system: System) -> list[tuple[bool, bool]]:
    """Of each prompt: whether it quotes what was said by id, and by the new number."""
    texts = [prompt.text for prompt in system.perplexity.prompts]
    return [("customer: I came by id" in text, "customer: My new number" in text) for text in texts]


async def test_the_newest_thread_is_told_of_all_of_them_once(system: System, doors: Doors) -> None:
    await doors.comes(OLD)
    await answer_all(system)
    await meet_twice(system, doors, answered=False)
    oldest: dict[str, Any] = (await conversations(system))[0]
    await Standings(system.database).reset(oldest["id"], new_thread=True, who="Ann")
    await doors.comes(OLD)
    before = len(system.perplexity.prompts)
    await ask(system, (await conversations(system))[0])

    await doors.change(OLD, NEW, sent_at=CHANGED)
    await answer_all(system)
    await doors.comes(NEW)
    await answer_all(system)

    assert [each["merged_into"] for each in await conversations(system)] == [None, oldest["id"], oldest["id"]]
    assert told(system)[before:] == [(False, False), (True, True), (False, False)]


@pytest.mark.parametrize("answered", [True, False])
async def test_a_thread_that_goes_on_elsewhere_is_not_told_what_it_knows(
    system: System, doors: Doors, *, answered: bool
) -> None:
    """The conversation that goes on has no thread of its own."""
    await doors.comes(OLD, kind="reaction", speaks=False, text="")
    await meet_twice(system, doors, answered=answered)
    before = len(system.perplexity.prompts)

    await doors.change(OLD, NEW, sent_at=CHANGED)
    await answer_all(system)
    await doors.comes(NEW)
    await answer_all(system)

    oldest = (await conversations(system))[0]
    assert [each["merged_into"] for each in await conversations(system)] == [None, oldest["id"], oldest["id"]]
    assert told(system)[before:] == ([(False, False)] if answered else [(False, True), (False, False)])


async def test_a_thread_that_comes_is_told_of_what_the_one_that_goes_on_brought_together(
    system: System, doors: Doors
) -> None:
    """Merged before that thread was last told of anything, and not into its conversation."""
    await doors.comes(OLD, kind="reaction", speaks=False, text="")
    await doors.comes(ELSE, text="My second number", sent_at=NOW + timedelta(seconds=15))
    await answer_all(system)
    oldest, second = await conversations(system)
    await Standings(system.database).reset(second["id"], new_thread=True, who="Ann")
    await doors.change(OLD, ELSE, sent_at=NOW + timedelta(seconds=10))
    await meet_twice(system, doors, answered=True)
    before = len(system.perplexity.prompts)

    await doors.change(ELSE, NEW, sent_at=CHANGED)
    for _ in range(2):
        await doors.comes(NEW)
        await answer_all(system)

    assert [each["merged_into"] for each in await conversations(system)] == [None, *[oldest["id"]] * 3]
    asked = system.perplexity.prompts[before:]
    assert ["customer: My second number" in prompt.text for prompt in asked] == [True, False]
    assert told(system)[before:] == [(False, False), (False, False)]
