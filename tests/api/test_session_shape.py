"""The session's parts as the contract with its callers names them: the pending action, the handoff."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.actions import AssistantActions, Confirmation
from schemas.assistants import AssistantConfig
from storage.overview import Overview
from tests.api.test_questions import ask
from tests.incoming import incoming
from tests.support.shop import output
from tests.system_in_process import System

HANDOFF = {"id", "reason", "team", "since", "step", "next_step_at", "taken_by", "taken_at", "waiting_messages"}


async def take(system: System) -> dict[str, Any]:
    response = await system.http.post("/api/session/c-1/state", json={"state": "human_handoff", "reason": "mine"})
    return dict(response.raise_for_status().json())


@pytest.mark.parametrize("by", [Confirmation.STAFF, Confirmation.CUSTOMER])
async def test_the_pending_action_is_the_newest_open_question(system: System, by: Confirmation) -> None:
    asked = await ask(system, by, "lamp", "chair")

    session = await system.session()

    assert session["pending_action"] == asked[0] == session["questions"][0]
    assert {"id", "kind", "action", "text", "expires_at"} <= set(session["pending_action"])
    assert "chair" in session["pending_action"]["text"]


async def test_nothing_is_pending_once_its_time_is_over(system: System) -> None:
    await ask(system, Confirmation.STAFF, "lamp")
    await system.database.rows("UPDATE actions SET expires_at = agent_now() - interval '1 second'")

    session = await system.session()

    assert (session["pending_action"], session["questions"]) == (None, [])


@pytest.mark.parametrize("tickets", [0, 1])
async def test_the_state_follows_the_moment_at_which_a_question_ends(system: System, tickets: int) -> None:
    """Whatever ends it, and tells the customer, comes later: by then nobody may be waited for."""
    for _ in range(tickets):
        system.perplexity.scripts.append(output("create_ticket", subject="Chair", description="Broken"))
        await system.send("My chair broke")
    await ask(system, Confirmation.CUSTOMER, "lamp")
    asked = await system.session()
    await system.database.rows("UPDATE actions SET expires_at = agent_now() - interval '1 second'")

    session = await system.session()
    [listed] = await Overview(system.database).conversations(10)

    assert asked["state"] == "awaiting_confirmation"
    assert (session["state"], session["owner"]) == ("ticket_open" if tickets else "bot", "bot")
    assert listed.state == session["state"]


async def test_a_turn_says_the_state_of_its_own_moment(system: System) -> None:
    """The question is kept through other words, and its time is over: nobody is waited for."""
    await ask(system, Confirmation.CUSTOMER, "lamp")
    config = AssistantConfig(actions=AssistantActions(unclear_answer="keep"))
    await system.services.configurations.apply("default", config, "test")
    kept = await system.send("Is there another lamp?")
    await system.database.rows("UPDATE actions SET expires_at = agent_now() - interval '1 second'")

    over = await system.send("And a chair?")

    assert (kept.json()["state"], over.json()["state"]) == ("awaiting_confirmation", "bot")


async def test_who_is_called_and_who_has_taken_it_are_told_apart(system: System) -> None:
    system.perplexity.scripts.append(output("handoff_support", summary="They ask for a person"))
    await system.send("A human please")
    called = (await system.session())["handoff"]
    await system.http.post("/api/session/c-1/state", json={"state": "bot"})
    taken = (await take(system))["handoff"]

    assert {*HANDOFF, "notifications"} <= set(called)
    assert (called["reason"], called["team"]) == ("Asked for it", "support")
    assert (called["taken_by"], called["taken_at"], called["opened_by"]) == (None, None, "assistant")
    assert (taken["taken_by"], taken["opened_by"], taken["reason"]) == ("api key test", "api key test", "mine")
    assert taken["taken_at"] == taken["since"]
    assert taken["id"] != called["id"]


async def test_who_takes_what_a_person_was_called_to_has_taken_it(system: System) -> None:
    system.perplexity.scripts.append(output("handoff_support", summary="They ask for a person"))
    await system.send("A human please")
    called = (await system.session())["handoff"]
    taken = (await take(system))["handoff"]
    again = (await take(system))["handoff"]
    transitions = (await system.http.get("/api/session/c-1/transitions")).json()

    assert (taken["id"], taken["opened_by"], taken["taken_by"]) == (called["id"], "assistant", "api key test")
    assert taken["taken_at"] >= taken["since"]
    assert again == taken
    newest, before = [tuple(each[name] for name in ("why", "from", "to", "who", "version")) for each in transitions]
    assert before == ("handoff", "bot", "human", "assistant", 1)
    assert newest == ("taken", "human", "human", "api key test", 1)


async def test_what_waits_for_a_person_is_counted_in_the_handoff(system: System) -> None:
    await system.send("Hello")
    await take(system)
    await system.services.inbox.store(incoming("Anybody?", 1))
    await system.send("It is urgent")

    session = await system.session()

    assert session["handoff"]["waiting_messages"] == session["held"] == 2
