"""Pairs that a review proved: a yes and its question's end, repetitions of a repetition, a withheld last part."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from temporalio.testing import ActivityEnvironment

from schemas.actions import AssistantActions, Confirmation
from schemas.assistants import AssistantConfig, Texts
from schemas.conversations import Deliver, Expire, NextStep, Thread, TurnRequest
from schemas.transitions import Event
from storage.erasure import Erasure
from storage.standings import Standings
from tests.api.test_questions import decide
from tests.support.attempts import activities, answer, asked, stored
from tests.support.shop import BOOK, CANCEL, output
from tests.support.stopping_database import DatabaseStop
from tests.support.waiting import until, within
from tests.system_in_process import System, running_system
from tests.whatsapp_customer import SETTINGS, Customer

CANCELS = output("api_call", endpoint="cancel_order", params={})
BOOKS = output("api_call", endpoint="book", params={})
TICKET = output("create_ticket", subject="Lamp", description="Broken lamp")


@pytest.fixture
async def still(postgres_url: str, temporal_address: str) -> Any:
    async with running_system(postgres_url, temporal_address, worker=False) as system:
        yield system


async def configure(system: System, **actions: Any) -> None:
    config = AssistantConfig(actions=AssistantActions(endpoints=(BOOK, CANCEL), **actions))
    await system.services.configurations.apply("default", config, "test")


async def ends(system: System, conversation: Any, how: str) -> None:
    """The open question, by its time or by staff."""
    if how == "expires":
        await system.database.rows("UPDATE actions SET expires_at = agent_now()")
        async with activities(system) as does:
            await ActivityEnvironment().run(does.conversation.expire, Expire(conversation_id=conversation))
    else:
        await Standings(system.database).change(conversation, Event.RELEASED, who="Ann")


@pytest.mark.parametrize("how", ["expires", "is dropped"])
@pytest.mark.parametrize("said", ["yes", "no"])
async def test_an_answer_that_meets_its_question_s_end_is_asked_anew(still: System, how: str, said: str) -> None:
    await configure(still)
    still.perplexity.scripts.append(CANCELS)
    first = await stored(still, "Cancel my order")
    stop = DatabaseStop("commit_id = :commit_id")
    async with activities(still) as does, activities(still, stop) as slow:
        await asked(does, still, first)
        request = await stored(still, said, 2)
        answering = asyncio.create_task(answer(slow, request))
        await within("the commit of the answer", stop.reached.wait(), lambda: "")
        await ends(still, first.conversation_id, how)
        stop.released.set()

        outcome = await answering
        again = await answer(does, request)

    assert (outcome.step, again.step, again.cursor) == (NextStep.AGAIN, NextStep.FINISHED, 2)
    assert still.endpoints.calls == []
    told = await still.database.rows("SELECT text FROM messages WHERE direction = 'out'")
    assert [row["text"] for row in told].count(Texts().expired) <= 1


async def test_of_two_questions_the_newer_stays_open(still: System) -> None:
    """As when a merge brings a question while the model is being asked."""
    await configure(still)
    still.perplexity.scripts.extend([CANCELS, CANCELS])
    other, first = await stored(still, "Cancel it", customer="c-2"), await stored(still, "Cancel my order")
    stop = DatabaseStop("commit_id = :commit_id")
    async with activities(still) as does, activities(still, stop) as slow:
        await answer(does, other)
        asking = asyncio.create_task(answer(slow, first))
        await within("the commit of the question", stop.reached.wait(), lambda: "")
        ids = {"here": first.conversation_id, "there": other.conversation_id}
        await still.database.rows("UPDATE actions SET conversation_id = :here WHERE conversation_id = :there", ids)
        stop.released.set()
        outcome = await asking

    statuses = await still.database.rows(
        "SELECT turn_id = :turn AS newer, status FROM actions", {"turn": outcome.turn_id}
    )
    assert {(row["newer"], row["status"]) for row in statuses} == {
        (False, "cancelled"),
        (True, "awaiting_confirmation"),
    }


@pytest.mark.parametrize(
    ("action", "owner"), [("handoff_support", "human"), ("close_conversation", "closed")], ids=["handoff", "close"]
)
async def test_an_action_that_ends_the_bots_part_ends_a_question_that_a_merge_has_brought(
    still: System, action: str, owner: str
) -> None:
    await configure(still)
    still.perplexity.scripts.extend([CANCELS, output(action, summary="All is said")])
    other, first = await stored(still, "Cancel it", customer="c-2"), await stored(still, "That is all")
    stop = DatabaseStop("commit_id = :commit_id")
    async with activities(still) as does, activities(still, stop) as slow:
        await answer(does, other)
        acting = asyncio.create_task(answer(slow, first))
        await within("the commit of the action", stop.reached.wait(), lambda: "")
        ids = {"here": first.conversation_id, "there": other.conversation_id}
        await still.database.rows("UPDATE actions SET conversation_id = :here WHERE conversation_id = :there", ids)
        stop.released.set()
        outcome = await acting

    standing = await Standings(still.database).of(first.conversation_id)
    assert [(each.owner, each.questions) for each in (outcome.standing, standing) if each] == [(owner, 0)] * 2
    whys = [row.why for row in await Standings(still.database).transitions(first.conversation_id, 5)]
    assert whys.count(Event.CANCELLED) == 1


async def test_the_third_time_is_the_first_one_s_repetition_too(system: System) -> None:
    await configure(system, confirmations={"create_ticket": Confirmation.NONE})
    system.perplexity.scripts.extend([TICKET] * 3)

    for _ in range(3):
        await system.send("My lamp broke")

    assert len(await system.database.rows("SELECT 1 FROM tickets")) == 1


async def test_what_is_asked_about_and_agreed_to_anew_is_done_anew(system: System) -> None:
    await configure(system)
    system.perplexity.scripts.extend([CANCELS, "done"] * 2)

    for _ in range(2):
        await system.send("Cancel my order")
        await system.send("yes")

    assert len(system.endpoints.calls) == 2
    assert len({key for _endpoint, _params, key in system.endpoints.calls}) == 2


@pytest.mark.parametrize("by", [Confirmation.CUSTOMER, Confirmation.STAFF])
async def test_what_staff_agree_to_anew_is_done_anew(system: System, by: Confirmation) -> None:
    await configure(system, confirmations={"create_ticket": by})
    system.perplexity.scripts.extend([TICKET, TICKET])

    for _ in range(2):
        await system.send("My lamp broke")
        [question] = (await system.session())["questions"]
        await decide(system, question)

    assert len(await system.database.rows("SELECT 1 FROM tickets")) == 2


async def test_a_repetition_does_not_lengthen_the_window(system: System) -> None:
    await configure(system, repeat_window_seconds=600)
    made = []
    for _ in range(4):
        system.perplexity.scripts.extend([BOOKS, "done"])
        await system.send("Book a table")
        made.append(len(system.endpoints.calls))
        await system.database.rows("UPDATE effects SET settled_at = settled_at - interval '500 s'")

    assert made == [1, 1, 2, 2]


async def test_a_sender_that_dies_at_a_withheld_part_leaves_the_reply_withheld(
    postgres_url: str, temporal_address: str
) -> None:
    async with running_system(postgres_url, temporal_address, worker=False, **SETTINGS) as system:
        customer = Customer(system)
        await customer.write("What does it cost?")
        conversation = (await customer.session())["conversation_id"]
        stop = DatabaseStop("withhold_message(")
        async with activities(system) as does, activities(system, stop) as dying:
            thread = Thread(frontend_context_uuid=uuid4())
            await answer(does, TurnRequest(conversation_id=conversation, cursor=0, thread=thread))
            await Standings(system.database).change(conversation, Event.TAKEN, who="Ann")
            deliver = Deliver(conversation_id=conversation)
            sending = asyncio.create_task(ActivityEnvironment().run(dying.delivery.deliver, deliver))
            await within("the reply that is withheld", stop.reached.wait(), lambda: "")
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await ActivityEnvironment().run(does.delivery.deliver, deliver)

        replies = await system.database.rows("SELECT delivery FROM messages WHERE direction = 'out'")

    assert [row["delivery"] for row in replies] == ["withheld"]
    assert customer.received == []


async def test_a_status_after_an_erasure_makes_nothing_due(postgres_url: str, temporal_address: str) -> None:
    async with running_system(postgres_url, temporal_address, **SETTINGS) as system:
        customer = Customer(system)
        await customer.write("Hello")
        await customer.until_received(1)
        await customer.until_idle()
        erasure = Erasure(system.database)
        await erasure.erase(await erasure.customer_of((await customer.session())["conversation_id"]), actor="Ann")

        await customer.status(system.whatsapp.sent[0], "failed", 131000)

        failed = "SELECT 1 FROM effects WHERE kind = 'part' AND status = 'failed'"
        await until("the failed part", lambda: system.database.rows(failed))
        assert not await system.database.rows("SELECT 1 FROM messages WHERE delivery = 'due'")
