"""A new thread that is asked for is one, whatever is under way; and one thread of a conversation is in use."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest
from temporalio.testing import ActivityEnvironment

from schemas.conversations import Apologize, TurnRequest
from schemas.transitions import Event
from storage.standings import Standings
from tests.integration.test_lost_thread import begun, failed
from tests.integration.test_take_over import INVALID, configure, rows, set_state, still, take, take_and_release
from tests.support.attempts import activities, answer, stored
from tests.support.stopping_database import DatabaseStop
from tests.support.waiting import until, within
from tests.system_in_process import System

__all__ = ["still"]

COMMIT = "commit_id = :commit_id"
IN_USE = "SELECT frontend_context_uuid::text FROM threads WHERE ended_at IS NULL"
THREADS = "SELECT frontend_context_uuid::text, end_reason FROM threads ORDER BY created_at"


async def reset(system: System, conversation_id: UUID, *, new_thread: bool = True) -> None:
    await Standings(system.database).reset(conversation_id, new_thread=new_thread, who="Ann")


def asked_in(system: System) -> list[str]:
    return [question.frontend_context_uuid for question in system.perplexity.prompts]


async def commits_after(system: System, request: TurnRequest, happens: Any) -> Any:
    """The outcome of an answer whose commit meets something."""
    commit = DatabaseStop(COMMIT)
    async with activities(system, commit) as does:
        answering = asyncio.create_task(answer(does, request))
        await within("the commit", commit.reached.wait(), lambda: system.perplexity.prompts)
        await happens()
        commit.released.set()
        return await answering


async def test_a_reset_during_the_first_question_asks_again_in_another_thread(still: System) -> None:
    request = await stored(still, "Hello")

    await commits_after(still, request, lambda: reset(still, request.conversation_id))
    async with activities(still) as does:
        outcome = await answer(does, request)

    first, second = asked_in(still)
    assert first != second
    assert str(outcome.thread.frontend_context_uuid) == second
    assert await rows(still, THREADS) == [(first, "reset"), (second, None)]
    assert still.perplexity.prompts[0].text == still.perplexity.prompts[1].text  # told how to write, too


async def test_so_does_one_between_two_attempts(still: System) -> None:
    request = await stored(still, "Hello")
    still.perplexity.scripts.append(failed())
    async with activities(still) as does:
        with pytest.raises(Exception, match="no answer"):
            await answer(does, request)
        await reset(still, request.conversation_id)
        await answer(does, request)

    first, second = asked_in(still)
    assert first != second


async def test_a_crash_after_the_reset_changes_nothing_about_that(still: System) -> None:
    """The second attempt's claim is lost; the third still knows that the thread is over."""
    request = await stored(still, "Hello")
    still.perplexity.scripts.extend([failed(), failed()])
    async with activities(still) as does:
        with pytest.raises(Exception, match="no answer"):
            await answer(does, request)
        await reset(still, request.conversation_id)
        with pytest.raises(Exception, match="no answer"):
            await answer(does, request)
        await answer(does, request)

    first, second, third = asked_in(still)
    assert first != second == third


async def test_without_a_new_thread_it_is_asked_again_in_the_same(still: System) -> None:
    request = await stored(still, "Hello")

    await commits_after(still, request, lambda: reset(still, request.conversation_id, new_thread=False))
    async with activities(still) as does:
        await answer(does, request)

    assert len(set(asked_in(still))) == 1
    first, second = still.perplexity.prompts
    assert (second.text, second.backend_uuid) == (first.text, None)


async def test_a_repair_goes_on_in_the_thread_that_the_reset_began(still: System) -> None:
    request = await stored(still, "My lamp broke")
    await configure(still, repair_pause_seconds=0.0)
    await commits_after(still, request, lambda: reset(still, request.conversation_id))
    still.perplexity.scripts.append(INVALID)
    async with activities(still) as does:
        await answer(does, request)
        await answer(does, request)

    first, second, repaired = asked_in(still)
    assert first != second == repaired


async def test_a_reset_while_a_lost_thread_is_replaced_begins_anew(system: System) -> None:
    old = await begun(system)
    system.perplexity.threads_known[old["thread_url_slug"]] = False
    conversation_id = (await system.session())["conversation_id"]

    async def resets(_question: object) -> str:
        await reset(system, conversation_id)
        return "An answer of before"

    system.perplexity.scripts.extend([failed(), failed(), resets])
    answered = (await system.send("And to Ipoh?")).json()

    in_its_place, anew = asked_in(system)[3:]
    assert len({old["frontend_context_uuid"], in_its_place, anew}) == 3
    assert system.perplexity.prompts[-1].backend_uuid is None
    assert "Penang" not in system.perplexity.prompts[-1].text
    assert answered["thread"]["frontend_context_uuid"] == anew
    ended = dict(await rows(system, THREADS))
    assert ended == {old["frontend_context_uuid"]: "reset", in_its_place: "reset", anew: None}


async def test_after_a_withheld_first_answer_one_thread_is_in_use(still: System) -> None:
    request = await stored(still, "Hello")
    await commits_after(still, request, lambda: take(still))
    await Standings(still.database).change(request.conversation_id, Event.RELEASED, who="Ann")
    later = await stored(still, "Are you there?", 2)
    async with activities(still) as does:
        await answer(does, later.model_copy(update={"cursor": 1}))

    first, second = asked_in(still)
    assert await rows(still, IN_USE) == [(second,)]
    assert dict(await rows(still, THREADS))[first] == "replaced"


async def test_asked_anew_after_a_take_over_and_a_release_one_thread_is_in_use(still: System) -> None:
    request = await stored(still, "Hello")
    await commits_after(still, request, lambda: take_and_release(still))
    async with activities(still) as does:
        await answer(does, request)

    assert len(await rows(still, IN_USE)) == 1


async def test_after_a_first_turn_without_a_usable_answer_one_thread_is_in_use(system: System) -> None:
    await configure(system, repairs=0)
    system.perplexity.scripts.append(INVALID)
    await system.send("My lamp broke")

    answered = (await system.send("Hello?")).json()

    assert await rows(system, IN_USE) == [(answered["thread"]["frontend_context_uuid"],)]


async def test_the_session_goes_on_in_the_thread_that_is_in_use(system: System) -> None:
    """Also for a run that starts over and reads it."""
    system.perplexity.gate.clear()
    waiting = asyncio.create_task(system.send("Hello"))
    await system.until_asked(1)
    await set_state(system, "human_handoff")
    system.perplexity.gate.set()
    await waiting
    await set_state(system, "bot")
    await until("the answer", lambda: rows(system, IN_USE), lambda threads: len(system.perplexity.prompts) == 2)

    answered = (await system.send("Thanks")).json()

    assert await rows(system, IN_USE) == [(answered["thread"]["frontend_context_uuid"],)]


async def test_after_several_withheld_first_answers_no_more_than_one_thread_is_in_use(still: System) -> None:
    request = await stored(still, "Hello")
    await commits_after(still, request, lambda: take(still))
    await Standings(still.database).change(request.conversation_id, Event.RELEASED, who="Ann")
    later = (await stored(still, "Are you there?", 2)).model_copy(update={"cursor": 1})
    await commits_after(still, later, lambda: take(still))

    first, second = asked_in(still)
    assert first != second
    assert await rows(still, THREADS) == [(first, "replaced"), (second, "replaced")]


async def test_asked_again_without_an_answer_the_thread_of_a_lost_ones_place_is_not_in_use(still: System) -> None:
    first = await stored(still, "Do you deliver to Penang?")
    still.perplexity.scripts.extend(["We do", failed(), failed()])
    async with activities(still) as does:
        begun_in = await answer(does, first)
        assert begun_in.thread is not None
        await rows(still, "UPDATE threads SET thread_url_slug = 'old'")
        still.perplexity.threads_known["old"] = False
        later = await stored(still, "And to Ipoh?", 2)
        later = later.model_copy(update={"cursor": 1, "thread": begun_in.thread})
        for _ in range(2):
            with pytest.raises(Exception, match="no answer"):
                await answer(does, later)
        await commits_after(still, later, lambda: reset(still, first.conversation_id, new_thread=False))
        await ActivityEnvironment().run(does.turn.apologize, Apologize(**later.model_dump(), failure="upstream"))

    assert len(set(asked_in(still))) == 2
    assert await rows(still, IN_USE) == [(str(begun_in.thread.frontend_context_uuid),)]


@pytest.mark.parametrize("is_reset", [False, True])
async def test_what_follows_a_lost_thread_is_told_what_was_said_until_an_answer_counts(
    system: System, is_reset: bool
) -> None:
    """The answer in its place was of no use. A reset forgets all the same."""
    await configure(system, repairs=0)
    old = await begun(system)
    system.perplexity.threads_known[old["thread_url_slug"]] = False
    system.perplexity.scripts.extend([failed(), failed(), INVALID])
    await system.send("And to Ipoh?")
    if is_reset:
        await reset(system, (await system.session())["conversation_id"])

    await system.send("Hello?")
    await system.send("Thanks")

    next_question, last_question = system.perplexity.prompts[-2:]
    assert next_question.backend_uuid is None
    assert ("Penang" in next_question.text) is not is_reset
    assert last_question.backend_uuid is not None
    assert "Penang" not in last_question.text
