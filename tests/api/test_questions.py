"""Open questions: each is seen and can be decided, and an approval that nobody gave is told."""

from __future__ import annotations

import asyncio
import gc
import json
from typing import Any
from uuid import UUID

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.testing import ActivityEnvironment

from schemas.actions import AssistantActions, Confirmation
from schemas.assistants import AssistantConfig
from storage.erasure import Erasure
from storage.overview import Overview
from tests.support import clock
from tests.support.shop import output
from tests.support.waiting import until
from tests.system_in_process import System, running_system
from tests.whatsapp_customer import SETTINGS, Customer
from tests.workflow.handles import ended, handle_of
from worker.app import create_activities


async def ask(system: System, by: Confirmation, *subjects: str, **more: Any) -> list[dict[str, Any]]:
    """The open questions after the model has asked for a ticket on each of *subjects*."""
    actions = AssistantActions(confirmations={"create_ticket": by}, **more)
    await system.services.configurations.apply("default", AssistantConfig(actions=actions), "test")
    for subject in subjects:
        metadata = {"subject": subject, "description": "Broken"}
        system.perplexity.scripts.append(
            json.dumps({"action": "create_ticket", "reason": f"About {subject}", "metadata": metadata})
        )
        await system.send(f"My {subject} broke")
    return list((await system.session())["questions"])


async def decide(system: System, question: dict[str, Any], approved: bool = True) -> Any:
    body = {"approved": approved, "agent_name": "Ann"}
    return await system.http.post(f"/api/session/c-1/questions/{question['id']}", json=body)


async def replies(system: System) -> list[str]:
    rows = await system.database.rows("SELECT text FROM messages WHERE direction = 'out' ORDER BY stored_at")
    return [row["text"] for row in rows]


async def test_a_decision_that_waits_for_an_answer_is_told_as_busy_and_comes(
    postgres_url: str, temporal_address: str
) -> None:
    """Temporal is there: the SDK would say that it is not, for our own time-out looks like one of Temporal's. Nor is
    there an error of asyncio's for what nobody waits for any more."""
    complaints: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context["message"]))
    async with running_system(postgres_url, temporal_address, change_wait_seconds=0.3) as system:
        [question] = await ask(system, Confirmation.STAFF, "lamp")
        system.perplexity.gate.clear()
        answering = asyncio.create_task(system.send("And my chair?"))
        await system.until_asked(2)

        told = await decide(system, question)
        gc.collect()  # a failure that nobody has read is told of when it goes
        system.perplexity.gate.set()
        await answering
        said = await until("the decision's words", lambda: replies(system), lambda texts: len(texts) >= 3)

    assert told.status_code == 503
    assert told.json()["detail"].startswith("The conversation is busy; the change may still come.")
    assert complaints == []
    assert said[-1].startswith("I have opened a ticket for you.")


async def test_who_waits_in_a_run_that_an_operator_cancels_is_told_so(
    system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    [question] = await ask(system, Confirmation.STAFF, "lamp")
    system.perplexity.gate.clear()
    answering = asyncio.create_task(system.send("And my chair?"))
    await system.until_asked(2)
    deciding = asyncio.create_task(decide(system, question))
    await until("the decision", lambda: _handed_in(system), bool)
    handle = system.temporal.get_workflow_handle((await system.session())["workflow_id"])
    await until("the decision in the run", lambda: _updates(handle), lambda names: "resolve_approval" in names)

    await handle.cancel()
    message, decided = await asyncio.gather(answering, deciding)
    system.perplexity.gate.set()
    again = await decide(system, question)

    logged = [line for line in capsys.readouterr().out.splitlines() if "unavailable" in line]
    assert (message.status_code, decided.status_code, again.status_code) == (503, 503, 200)
    assert decided.json()["detail"].startswith("An operator stopped the conversation just then")
    assert "Retry-After" in decided.headers
    assert len(logged) == 2
    assert [line for line in logged if "TemporalUnavailable" in line or "database" in line] == []


async def _updates(handle: WorkflowHandle[Any, Any]) -> list[str]:
    events = (await handle.fetch_history()).events
    return [each.workflow_execution_update_accepted_event_attributes.accepted_request.input.name for each in events]


async def test_a_decision_on_who_is_erased_meanwhile_finds_nobody(system: System) -> None:
    [question] = await ask(system, Confirmation.STAFF, "lamp")
    conversation_id = UUID((await system.session())["conversation_id"])
    system.perplexity.gate.clear()
    answering = asyncio.create_task(system.send("And my chair?"))
    await system.until_asked(2)
    deciding = asyncio.create_task(decide(system, question))
    await until("the decision", lambda: _handed_in(system), bool)

    erasure = Erasure(system.database)
    await erasure.erase(await erasure.customer_of(conversation_id), actor="Ann", force=True)
    system.perplexity.gate.set()
    told, _ = await asyncio.gather(deciding, answering)

    assert told.status_code == 404
    assert told.json()["detail"] == "This customer has no conversation on this channel."


async def _handed_in(system: System) -> list[Any]:
    return list(await system.database.rows("SELECT id FROM audit WHERE deed = 'action.answered'"))


async def test_every_open_approval_is_seen_and_decided(system: System) -> None:
    newest, oldest = await ask(system, Confirmation.STAFF, "lamp", "chair")

    first = await decide(system, oldest)
    second = await decide(system, newest, approved=False)

    assert [(each["kind"], each["reason"]) for each in (newest, oldest)] == [
        ("approval", "About chair"),
        ("approval", "About lamp"),
    ]
    assert [each["text"].splitlines() for each in (newest, oldest)] == [
        ["Shall I open a ticket for you?", f"• Subject: {what}", "• Description: Broken"] for what in ("chair", "lamp")
    ]
    assert [each["id"] for each in first.json()["questions"]] == [newest["id"]]
    assert second.json()["questions"] == []
    assert (await replies(system))[-2:] == [
        "I have opened a ticket for you. Its number is T-1001.",
        "I'm sorry, my colleague did not agree to that.",
    ]


async def test_staff_may_answer_in_the_customers_place(system: System) -> None:
    [question] = await ask(system, Confirmation.CUSTOMER, "lamp")

    decided = (await decide(system, question)).json()

    assert question["kind"] == "confirmation"
    assert "Subject: lamp" in question["text"]
    assert (decided["questions"], decided["state"], decided["tickets"]) == ([], "ticket_open", ["T-1001"])


async def test_a_handoff_that_staff_approve_ends_the_customers_question(system: System) -> None:
    by = {"create_ticket": Confirmation.CUSTOMER, "handoff_support": Confirmation.STAFF}
    config = AssistantConfig(actions=AssistantActions(confirmations=by))
    await system.services.configurations.apply("default", config, "test")
    ticket = output("create_ticket", subject="lamp", description="Broken")
    system.perplexity.scripts.extend([output("handoff_support", summary="Wants a person"), ticket])
    await system.send("A person, please")
    await system.send("My lamp broke")
    asked = {each["kind"]: each for each in (await system.session())["questions"]}

    decided = (await decide(system, asked["approval"])).json()

    assert (decided["state"], decided["questions"]) == ("human_handoff", [])
    assert (await decide(system, asked["confirmation"])).status_code == 404


_ENDS = {
    "a person has the conversation": "UPDATE conversations SET owner = 'human', owner_version = owner_version + 1",
    "expired": "UPDATE actions SET expires_at = agent_now()",
    "decided it already: it was declined": "UPDATE actions SET status = 'cancelled', decided_by = 'Bo'",
    "another question": "UPDATE actions SET status = 'cancelled'",
}


@pytest.mark.parametrize("told", _ENDS)
async def test_who_decides_too_late_is_told_why(system: System, told: str) -> None:
    """The turn under way keeps the decision waiting, and meanwhile the question ends."""
    [question] = await ask(system, Confirmation.CUSTOMER, "lamp", unclear_answer="keep")
    system.perplexity.gate.clear()
    answering = asyncio.create_task(system.send("And my chair?"))
    await system.until_asked(2)
    deciding = asyncio.create_task(decide(system, question))
    await until("it is handed in", lambda: handed_in(system), lambda count: count == 1)
    await system.database.rows(_ENDS[told])
    system.perplexity.gate.set()

    response = await deciding
    await answering

    assert response.status_code == 409
    assert told in response.json()["detail"]


async def test_a_question_that_is_not_open_is_not_found(system: System) -> None:
    [question] = await ask(system, Confirmation.STAFF, "lamp")
    await decide(system, question)

    assert (await decide(system, question)).status_code == 404


async def test_of_two_who_decide_at_once_one_is_told_that_they_came_late(system: System) -> None:
    """Both saw it open: the turn under way keeps both decisions waiting."""
    [question] = await ask(system, Confirmation.STAFF, "lamp")
    system.perplexity.gate.clear()
    answering = asyncio.create_task(system.send("And my chair?"))
    await system.until_asked(2)
    deciding = [asyncio.create_task(decide(system, question, approved=approved)) for approved in (True, False)]
    await until("both handed in", lambda: handed_in(system), lambda count: count == 2)
    system.perplexity.gate.set()
    await answering

    told = sorted([(await each).status_code for each in deciding])
    assert told == [200, 409]
    assert len(await replies(system)) == 3


async def handed_in(system: System) -> int:
    return len(await system.database.rows("SELECT 1 FROM audit WHERE deed = 'action.answered'"))


@pytest.fixture
async def let_pass(system: System) -> dict[str, Any]:
    [question] = await ask(system, Confirmation.STAFF, "lamp")
    await system.database.rows("UPDATE actions SET expires_at = agent_now() - interval '1 second'")
    return question


async def sweep(system: System) -> None:
    sweeping = create_activities(system.temporal, system.database, system.outside, system.settings, now=clock.now).sweep
    await ActivityEnvironment().run(sweeping.sweep)


async def test_an_approval_that_nobody_gave_is_told_once(system: System, let_pass: dict[str, Any]) -> None:
    await sweep(system)
    await sweep(system)

    told = [text for text in await replies(system) if "has expired" in text]
    notes = await system.database.rows("SELECT text FROM messages WHERE kind = 'note'")
    trouble = await Overview(system.database).trouble(10)
    assert len(told) == 1
    assert notes == [{"text": "Nobody approved create_ticket in time. A message for the customer says so."}]
    assert [row.what for row in trouble] == ["nobody approved in time: create_ticket"]
    assert (await decide(system, let_pass)).status_code == 404


async def test_the_sweep_leaves_alone_what_an_operator_cancelled(system: System, let_pass: dict[str, Any]) -> None:
    handle = await handle_of(system)
    await handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await ended(handle)

    await sweep(system)

    assert "has expired" not in (await replies(system))[-1]


async def test_an_expired_approval_goes_out_over_the_customers_channel(
    postgres_url: str, temporal_address: str
) -> None:
    async with running_system(postgres_url, temporal_address, **SETTINGS) as system:
        actions = AssistantActions(confirmations={"create_ticket": Confirmation.STAFF})
        await system.services.configurations.apply("default", AssistantConfig(actions=actions), "test")
        metadata = {"subject": "Lamp", "description": "Broken"}
        system.perplexity.scripts.append(json.dumps({"action": "create_ticket", "reason": "r", "metadata": metadata}))
        customer = Customer(system)
        await customer.write("My lamp broke")
        await customer.until_received(1)
        await system.database.rows("UPDATE actions SET expires_at = agent_now() - interval '1 second'")

        await sweep(system)

        await until("the word that was promised", lambda: customer.received, lambda got: "has expired" in got[-1])
