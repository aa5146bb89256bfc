"""A yes in plain words counts only if it is the customer's newest message when it is committed, or all newer are in it.

The customer writes on while the yes is read: what comes before the commit is read with it, and none of it is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from schemas.actions import AssistantActions
from schemas.assistants import AssistantConfig
from schemas.conversations import NextStep, Thread, TurnOutcome, TurnRequest
from schemas.encoding import dump_json
from tests.incoming import incoming
from tests.integration.test_over import CANCELS, whole_turn
from tests.integration.test_over import asked as asked_on_whatsapp
from tests.integration.test_taken_back import delete, edit
from tests.integration.test_unsaid import Conversation, still
from tests.support.attempts import activities, answer, asked, perform
from tests.support.clock import now, stamp
from tests.support.shop import CANCEL
from tests.support.stopping_database import DatabaseStop
from tests.support.waiting import until, within
from tests.system_in_process import System, running_system
from tests.whatsapp_customer import written

__all__ = ["still"]

ONE_BY_ONE: list[dict[str, Any]] = [{"join_waiting_messages": False}, {"join_max_messages": 1}]


class Asked:
    """A customer over HTTP who was asked whether their order is to be cancelled, without a worker."""

    def __init__(self, system: System, request: TurnRequest) -> None:
        self.system, self.request, self.messages = system, request, 1

    async def writes(self, *texts: str) -> None:
        for text in texts:
            self.messages += 1
            await self.system.services.inbox.store(incoming(text, self.messages))

    async def answered(self, *stops: DatabaseStop) -> TurnOutcome:
        """One attempt, and the action that it comes to."""
        async with activities(self.system, *stops) as does:
            outcome = await answer(does, self.request)
            return await perform(does, self.request, outcome) if outcome.step is NextStep.PERFORM else outcome

    @property
    def calls(self) -> list[str]:
        return [name for name, *_ in self.system.endpoints.calls]


@asynccontextmanager
async def over_http(postgres_url: str, temporal_address: str, **settings: Any) -> AsyncIterator[Asked]:
    async with running_system(postgres_url, temporal_address, worker=False, **settings) as system:
        config = AssistantConfig(actions=AssistantActions(endpoints=(CANCEL,), unclear_answer="keep"))
        await system.services.configurations.apply("default", config, "test")
        system.perplexity.scripts.append(CANCELS)
        first = await system.services.inbox.store(incoming("Cancel it", 1))
        request = TurnRequest(
            conversation_id=first.conversation_id, cursor=0, thread=Thread(frontend_context_uuid=uuid4())
        )
        async with activities(system) as does:
            await asked(does, system, request)
        yield Asked(system, request.model_copy(update={"cursor": 1}))


@pytest.fixture
async def customer(postgres_url: str, temporal_address: str) -> AsyncIterator[Asked]:
    async with over_http(postgres_url, temporal_address) as customer:
        yield customer


@pytest.mark.parametrize("one_by_one", ONE_BY_ONE)
@pytest.mark.parametrize("newer", ["no, stop, do not cancel!", "yes please"])
async def test_a_yes_with_more_behind_it_is_the_models_where_each_is_answered_by_itself(
    postgres_url: str, temporal_address: str, one_by_one: dict[str, Any], newer: str
) -> None:
    """What says yes too is not worth another rule: both are read by the model, each once."""
    async with over_http(postgres_url, temporal_address, **one_by_one) as customer:
        await customer.writes("yes", newer)
        cursor = await whole_turn(customer.system, customer.request.conversation_id, 1)
        await whole_turn(customer.system, customer.request.conversation_id, cursor)

    assert customer.calls == []
    assert [
        words in prompt.text
        for prompt, words in zip(customer.system.perplexity.prompts[1:], ["yes", newer], strict=True)
    ]


async def test_a_yes_alone_counts_where_each_is_answered_by_itself(postgres_url: str, temporal_address: str) -> None:
    async with over_http(postgres_url, temporal_address, **ONE_BY_ONE[0]) as customer:
        await customer.writes("yes")
        await customer.answered()

    assert customer.calls == ["cancel_order"]


@pytest.mark.parametrize(("newer", "called"), [("no, stop!", []), ("yes please", ["cancel_order"])])
async def test_what_comes_before_a_yes_is_committed_is_read_with_it(
    customer: Asked, newer: str, called: list[str]
) -> None:
    before_commit = DatabaseStop("the commit of a step")
    await customer.writes("yes")
    says_yes = asyncio.create_task(customer.answered(before_commit))
    await within("the commit", before_commit.reached.wait(), lambda: says_yes)
    await customer.writes(newer)
    before_commit.released.set()

    assert (await says_yes).step is NextStep.AGAIN
    assert (await customer.answered()).step is not NextStep.AGAIN
    assert customer.calls == called


async def test_where_each_is_answered_by_itself_that_ends_with_the_model(
    postgres_url: str, temporal_address: str
) -> None:
    """The next claim takes the same yes, and knows of the newer message: it does not begin again for ever."""
    async with over_http(postgres_url, temporal_address, **ONE_BY_ONE[0]) as customer:
        before_commit = DatabaseStop("the commit of a step")
        await customer.writes("yes")
        says_yes = asyncio.create_task(customer.answered(before_commit))
        await within("the commit", before_commit.reached.wait(), lambda: says_yes)
        await customer.writes("no, stop!")
        before_commit.released.set()

        assert [(await says_yes).step, (await customer.answered()).step] == [NextStep.AGAIN, NextStep.FINISHED]

    assert customer.calls == []
    assert len(customer.system.perplexity.prompts) == 2


async def test_a_zombies_yes_is_none_once_another_attempt_has_read_the_no(customer: Asked) -> None:
    before_commit = DatabaseStop("the commit of a step")
    await customer.writes("yes")
    zombie = asyncio.create_task(customer.answered(before_commit))
    await within("the commit", before_commit.reached.wait(), lambda: zombie)
    await customer.writes("no, stop!")
    customer.system.perplexity.gate.clear()
    second = asyncio.create_task(customer.answered())
    await customer.system.until_asked(2)
    before_commit.released.set()
    await zombie
    customer.system.perplexity.gate.set()
    outcome = await second
    while outcome.step is not NextStep.FINISHED:
        outcome = await customer.answered()

    assert customer.calls == []
    assert "no, stop!" in customer.system.perplexity.prompts[-1].text


# Over WhatsApp, where a message may be taken back, or say something else afterwards


@pytest.fixture
async def talk(still: System) -> Conversation:
    talk = await asked_on_whatsapp(still, CANCELS)
    await talk.deliver()
    return talk


def _later() -> dict[str, Any]:
    return {"timestamp": stamp(now() + timedelta(seconds=3))}


async def _to_no(talk: Conversation, said: dict[str, Any]) -> None:
    await edit(talk, said, "I meant the other one")


@pytest.mark.parametrize("revises", [delete, _to_no])
async def test_a_yes_that_is_revised_before_it_is_committed_is_none(
    talk: Conversation, revises: Callable[[Conversation, dict[str, Any]], Awaitable[None]]
) -> None:
    said = await talk.customer.write("yes", **_later())
    before_commit = DatabaseStop("the commit of a step")
    await _answered_while(talk, before_commit, lambda: revises(talk, said))
    await whole_turn(talk.system, await talk.id, talk.cursor)

    assert talk.system.endpoints.calls == []


async def test_a_button_counts_whatever_is_written_before_it_is_committed(talk: Conversation) -> None:
    choice = talk.system.whatsapp.sent[0].choices[0]
    pressed = {"type": "button_reply", "button_reply": {"id": choice.id, "title": choice.title}}
    await talk.customer.send(written("", type="interactive", text=None, interactive=pressed, **_later()))
    before_commit = DatabaseStop("the commit of a step")
    await _answered_while(talk, before_commit, lambda: talk.customer.write("Thanks!", **_later()))
    await whole_turn(talk.system, await talk.id, talk.cursor)

    assert [name for name, *_ in talk.system.endpoints.calls] == ["cancel_order"]


async def _answered_while(talk: Conversation, stop: DatabaseStop, does: Callable[[], Awaitable[Any]]) -> TurnOutcome:
    """An attempt at what waits; something happens while it is at *stop*."""
    request = TurnRequest(conversation_id=await talk.id, cursor=talk.cursor, thread=talk.thread)
    async with activities(talk.system, stop) as made:
        attempt = asyncio.create_task(answer(made, request))
        await within(stop.marker, stop.reached.wait(), lambda: attempt)
        await does()
        stop.released.set()
        return await attempt


async def test_a_yes_that_is_edited_in_place_while_it_is_claimed_is_none(talk: Conversation) -> None:
    """The claim had read the words, and waited for the webhook of the edit, which knew of no claim."""
    said = await talk.customer.write("yes", **_later())
    request = TurnRequest(conversation_id=await talk.id, cursor=talk.cursor, thread=talk.thread)
    revise = "SELECT revise_waiting(c, c.account, CAST(:edit AS jsonb)) AS done FROM conversations c WHERE c.id = :id"
    edits = {"kind": "edit", "text": "I meant the other one", "meta": {"concerns": said["id"]}}
    async with activities(talk.system) as does:
        async with talk.system.database.transaction() as webhook:
            await webhook.rows("SELECT 1 FROM conversations WHERE id = :id FOR UPDATE", {"id": await talk.id})
            attempt = asyncio.create_task(answer(does, request))
            await until("the claim that waits", lambda: _waits_for_a_lock(talk.system))
            [revised] = await webhook.rows(revise, {"id": await talk.id, "edit": dump_json(edits)})
        assert revised["done"]
        await attempt
    await whole_turn(talk.system, await talk.id, talk.cursor)

    assert talk.system.endpoints.calls == []
    assert "I meant the other one" in talk.system.perplexity.prompts[-1].text


async def _waits_for_a_lock(system: System) -> bool:
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool(await system.database.rows(waiting))
