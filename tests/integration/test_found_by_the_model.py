"""What the model test (tests/model/) found: two actions of one turn, a question that is kept, an erasure in between."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from temporalio.testing import ActivityEnvironment

from integrations.endpoints.port import CallProblem, EndpointFailed, EndpointResult
from schemas.actions import AssistantActions
from schemas.assistants import AssistantConfig, Texts
from schemas.conversations import Perform, Step, Thread, TurnRequest
from storage.erasure import Erasure
from tests.incoming import incoming
from tests.support.shop import BOOK, CANCEL, output
from tests.system_in_process import System, running_system
from worker.app import create_activities

BOOKS = output("api_call", endpoint="book", params={})
PAY = BOOK.model_copy(update={"name": "pay", "url": "https://shop.example/pay"})


async def configure(system: System, **actions: Any) -> None:
    config = AssistantConfig(actions=AssistantActions(endpoints=(BOOK, PAY, CANCEL), **actions))
    await system.services.configurations.apply("default", config, "test")


async def test_an_action_that_is_refused_after_one_that_was_done_denies_nothing(system: System) -> None:
    await configure(system, enabled=("api_call",))
    system.perplexity.scripts.extend([BOOKS, output("create_ticket", subject="Lamp", description="Broken")])

    turn = (await system.send("Book it, and open a ticket")).json()

    assert turn["reply"]["text"] == Texts().partly_done


async def test_an_action_that_fails_after_one_that_was_done_denies_nothing(system: System) -> None:
    await configure(system)
    system.perplexity.scripts.extend([BOOKS, output("api_call", endpoint="pay", params={})])
    refused = EndpointFailed(CallProblem.FAILED, "no money")
    system.endpoints.outcomes.extend([EndpointResult(status=200, body="{}"), refused])

    turn = (await system.send("Book it and pay")).json()

    assert turn["reply"]["text"] == Texts().partly_done


async def test_a_question_that_was_answered_is_not_kept_open(system: System) -> None:
    await configure(system, unclear_answer="keep")
    system.perplexity.scripts.extend([output("api_call", endpoint="cancel_order", params={}), "It is cancelled."])
    await system.send("Cancel my order")

    turn = (await system.send("yes")).json()

    assert (turn["reply"]["text"], turn["state"]) == ("It is cancelled.", "bot")


async def test_an_action_whose_customer_was_erased_before_it_began_ends_at_once(
    postgres_url: str, temporal_address: str
) -> None:
    async with running_system(postgres_url, temporal_address, worker=False) as still:
        await configure(still)
        still.perplexity.scripts.append(BOOKS)
        does = create_activities(still.temporal, still.database, still.outside, still.settings)
        message = await still.services.inbox.store(incoming("Book it", 1))
        thread = Thread(frontend_context_uuid=uuid4())
        request = TurnRequest(conversation_id=message.conversation_id, cursor=0, thread=thread)
        planned = await ActivityEnvironment().run(does.answering.answer, request)
        await _erase(still, message.conversation_id)

        perform = Perform(**request.model_dump(), action_id=planned.action_id)
        outcome = await ActivityEnvironment().run(does.acting.perform, perform)

    assert (outcome.step, outcome.cursor) == (Step.FINISHED, 1)
    assert still.endpoints.calls == []


async def _erase(system: System, conversation_id: UUID) -> None:
    erasure = Erasure(system.database)
    await erasure.erase(await erasure.customer_of(conversation_id), actor="user test", force=True)
