"""A person takes the conversation while something else goes on: it holds at once, and nothing of the bot comes after.

Each test lets a change of the owner meet one step of a turn. What goes out over a channel: test_take_over_sending.py.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from statistics import median
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from actions.gates import rules_of
from integrations.perplexity.port import AskFailed
from schemas.actions import AssistantActions, Confirmation
from schemas.assistants import AssistantConfig
from schemas.conversations import Apologize, NextStep, StateRequest
from schemas.encoding import dump_json
from schemas.failures import ModelFailureKind
from schemas.transitions import Event
from schemas.turns import State
from storage.standings import Standings
from tests.support.attempts import activities, answer, perform, stored
from tests.support.shop import BOOK, output
from tests.support.stopping_database import DatabaseStop
from tests.support.waiting import until, within
from tests.system_in_process import System, running_system

TICKET = output("create_ticket", subject="Lamp", description="Broken lamp")
INVALID = output("create_ticket")
CALL = output("api_call", endpoint="book", params={})
CLAIM = "SET status = 'sending', fence"


async def configure(system: System, **actions: Any) -> None:
    config = AssistantConfig(actions=AssistantActions(**actions))
    await system.services.configurations.apply("default", config, "test")


async def rows(system: System, statement: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in await system.database.rows(statement)]


async def set_state(system: System, state: str) -> dict[str, Any]:
    response = await system.http.post("/api/session/c-1/state", json={"state": state, "reason": "a test"})
    response.raise_for_status()
    return dict(response.json())


async def take(system: System) -> None:
    await _change(system, Event.TAKEN)


async def take_and_release(system: System) -> None:
    await _change(system, Event.TAKEN)
    await _change(system, Event.RELEASED)


async def _change(system: System, event: Event) -> None:
    session = await system.session()
    await Standings(system.database).change(session["conversation_id"], event, who="Ann")


async def turns(system: System) -> list[dict[str, Any]]:
    """As staff see them, newest first."""
    return list((await system.http.get("/api/session/c-1/turns")).json())


@pytest.fixture
async def still(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    """A system without a worker: the test runs each attempt itself."""
    async with running_system(postgres_url, temporal_address, worker=False) as system:
        yield system


async def test_an_answer_that_comes_after_a_take_over_is_kept_and_not_given(system: System) -> None:
    await system.send("Hello")
    system.perplexity.gate.clear()
    waiting = asyncio.create_task(system.send("What does it cost?"))
    await system.until_asked(2)

    taken = await set_state(system, "human_handoff")
    system.perplexity.gate.set()
    response = await waiting

    assert (taken["owner"], taken["in_flight"]) == ("human", 0)
    assert (response.status_code, response.json()["reply"], response.json()["state"]) == (202, None, "human_handoff")
    newest = (await turns(system))[0]
    assert (newest["status"], newest["reply"]["text"]) == ("withheld", "You said: What does it cost?")
    assert newest["attempts"][0]["raw_output"] == "You said: What does it cost?"
    assert (await system.session())["held"] == 1


async def test_a_take_over_takes_less_than_a_second_while_the_model_answers(system: System) -> None:
    """The median of 11, as it is measured by whoever calls."""
    await system.send("Hello")
    system.perplexity.gate.clear()
    waiting = asyncio.create_task(system.send("What does it cost?"))
    await system.until_asked(2)

    seconds = []
    for state in ["human_handoff", "bot"] * 5 + ["human_handoff"]:
        began = time.monotonic()
        await set_state(system, state)
        seconds.append(time.monotonic() - began)
    system.perplexity.gate.set()
    await waiting

    print(f"POST …/state while the model answers: P50 {median(seconds) * 1000:.0f} ms")
    assert median(seconds) < 1.0


async def test_who_took_and_released_meanwhile_gets_an_answer_of_now(system: System) -> None:
    system.perplexity.gate.clear()
    waiting = asyncio.create_task(system.send("What does it cost?"))
    await system.until_asked(1)

    await set_state(system, "human_handoff")
    await set_state(system, "bot")
    system.perplexity.scripts.append("Ten ringgit.")
    system.perplexity.gate.set()

    assert (await waiting).json()["reply"]["text"] == "Ten ringgit."
    assert await rows(system, "SELECT text, used FROM raw_outputs ORDER BY created_at") == [
        ("You said: What does it cost?", False),
        ("Ten ringgit.", True),
    ]


async def test_a_zombie_of_before_a_take_over_and_a_release_changes_nothing(still: System) -> None:
    request, held = await stored(still, "What does it cost?"), DatabaseStop("commit_id = :commit_id")
    async with activities(still, held) as first, activities(still) as second:
        still.perplexity.scripts.extend(["The zombie's answer", "Ten ringgit."])
        zombie = asyncio.create_task(answer(first, request))
        await within("the zombie's commit", held.reached.wait(), lambda: still.perplexity.prompts)
        await take_and_release(still)
        living = await answer(second, request)
        held.released.set()
        late = await zombie

    assert (living.step, late.step, late.cursor) == (NextStep.FINISHED, NextStep.FINISHED, 1)
    assert await rows(still, "SELECT text, delivery FROM messages WHERE direction = 'out'") == [("Ten ringgit.", None)]
    assert ("The zombie's answer", False) in await rows(still, "SELECT text, used FROM raw_outputs")


async def test_a_commit_that_meets_a_take_over_comes_after_it(still: System) -> None:
    """The take-over is not committed yet when the answer is: the commit waits for it, and finds it."""
    request = await stored(still, "What does it cost?")
    async with activities(still) as does:
        async with still.database.transaction() as transaction:
            values = {"id": request.conversation_id, "rules": dump_json(rules_of(Event.TAKEN))}
            await transaction.rows("SELECT * FROM change_owner(:id, 'taken', :rules, 'Ann', '')", values)
            answering = asyncio.create_task(answer(does, request))
            waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            await until("the commit that waits", lambda: still.database.rows(waiting))
        outcome = await answering

    assert outcome.state is State.HUMAN_HANDOFF
    assert await rows(still, "SELECT status FROM turns") == [("withheld",)]


async def test_a_reset_that_meets_the_first_answer_ends_its_thread(still: System) -> None:
    request = await stored(still, "Hello")
    async with still.database.transaction() as transaction:
        await transaction.rows("SELECT id FROM conversations FOR UPDATE")
        session = await still.session()
        resetting = asyncio.create_task(
            Standings(still.database).reset(session["conversation_id"], new_thread=True, who="Ann")
        )
        waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        await until("the reset that waits", lambda: still.database.rows(waiting))
        await transaction.rows(
            "INSERT INTO threads (frontend_context_uuid, conversation_id, account_name) VALUES (:thread, :id, 'a')",
            {"thread": request.thread.frontend_context_uuid, "id": request.conversation_id},
        )
    await resetting

    assert await rows(still, "SELECT end_reason FROM threads") == [("reset",)]


async def test_a_zombie_between_the_living_claim_and_its_commit_changes_nothing(still: System) -> None:
    request = await stored(still, "What does it cost?")
    stops = [DatabaseStop("commit_id = :commit_id") for _ in range(2)]
    async with activities(still, stops[0]) as first, activities(still, stops[1]) as second:
        still.perplexity.scripts.extend(["The zombie's answer", "Ten ringgit."])
        zombie = asyncio.create_task(answer(first, request))
        await within("the zombie's commit", stops[0].reached.wait(), lambda: still.perplexity.prompts)
        await take_and_release(still)
        living = asyncio.create_task(answer(second, request))
        await within("the living one's commit", stops[1].reached.wait(), lambda: still.perplexity.prompts)
        stops[0].released.set()
        await zombie
        stops[1].released.set()
        await living

    assert await rows(still, "SELECT text FROM messages WHERE direction = 'out'") == [("Ten ringgit.",)]


@pytest.mark.parametrize("asked", [TICKET, CALL])
async def test_an_action_that_is_planned_is_not_begun_after_a_take_over(still: System, asked: str) -> None:
    await configure(still, endpoints=[BOOK])
    request, before = await stored(still, "Do it"), DatabaseStop(CLAIM)
    still.perplexity.scripts.append(asked)
    async with activities(still, before) as does:
        acting = asyncio.create_task(_to_the_end(does, request))
        await within("the effect's claim", before.reached.wait(), lambda: still.perplexity.prompts)
        await take(still)
        before.released.set()
        outcome = await acting

    assert (outcome.step, outcome.state) == (NextStep.FINISHED, State.HUMAN_HANDOFF)
    assert await rows(still, "SELECT 1 FROM tickets") == []
    assert still.endpoints.calls == []
    assert await rows(still, "SELECT e.status, a.status FROM effects e JOIN actions a ON a.effect_key = e.key") == [
        ("failed", "cancelled")
    ]
    assert await rows(still, "SELECT status FROM turns") == [("withheld",)]
    assert await rows(still, "SELECT 1 FROM messages WHERE direction = 'out'") == []
    assert (await turns(still))[0]["action"]["status"] == "cancelled"


@pytest.mark.parametrize("asked", [TICKET, CALL])
async def test_an_action_that_was_not_begun_is_thought_about_anew_after_a_release(still: System, asked: str) -> None:
    await configure(still, endpoints=[BOOK])
    request, before = await stored(still, "Do it"), DatabaseStop(CLAIM)
    still.perplexity.scripts.extend([asked, "Never mind."])
    async with activities(still, before) as does:
        acting = asyncio.create_task(_to_the_end(does, request))
        await within("the effect's claim", before.reached.wait(), lambda: still.perplexity.prompts)
        await take_and_release(still)
        before.released.set()
        outcome = await acting

        assert outcome.step is NextStep.AGAIN
        assert (await answer(does, request)).step is NextStep.FINISHED
    assert (await rows(still, "SELECT text FROM messages WHERE direction = 'out'")) == [("Never mind.",)]
    assert still.endpoints.calls == []


async def _to_the_end(does: Any, request: Any) -> Any:
    """The turn's answer, and its action where that is an activity of its own."""
    outcome = await answer(does, request)
    return await perform(does, request, outcome) if outcome.step is NextStep.PERFORM else outcome


async def test_an_effect_under_way_happens_and_its_words_are_withheld(system: System) -> None:
    await configure(system, endpoints=[BOOK])
    system.endpoints.gate.clear()
    system.perplexity.scripts.append(CALL)
    waiting = asyncio.create_task(system.send("Book it"))
    await until("the call", lambda: system.endpoints.calls)

    await set_state(system, "human_handoff")
    system.endpoints.gate.set()
    response = await waiting

    assert (response.status_code, response.json()["reply"]) == (202, None)
    assert await rows(system, "SELECT status FROM effects") == [("confirmed",)]
    assert len(system.perplexity.prompts) == 1
    assert (await turns(system))[0]["status"] == "withheld"


async def test_a_take_over_ends_an_open_question(system: System) -> None:
    await configure(system, confirmations={"create_ticket": Confirmation.CUSTOMER})
    system.perplexity.scripts.append(TICKET)
    await system.send("My lamp broke")

    taken = await set_state(system, "human_handoff")
    held = await system.send("yes")
    await set_state(system, "bot")
    answered = await system.send("Hello?")

    assert (taken["questions"], held.status_code) == ([], 202)
    assert "yes" in answered.json()["reply"]["text"] or "Hello?" in answered.json()["reply"]["text"]
    assert await rows(system, "SELECT 1 FROM tickets") == []
    whys = await rows(system, "SELECT why FROM transitions ORDER BY id")
    assert whys == [("asked",), ("cancelled",), ("taken",), ("released",)]


async def test_a_yes_that_meets_a_take_over_does_nothing(still: System) -> None:
    await configure(still, confirmations={"create_ticket": Confirmation.CUSTOMER})
    still.perplexity.scripts.append(TICKET)
    commit = DatabaseStop("commit_id = :commit_id")
    async with activities(still) as does:
        await answer(does, await stored(still, "My lamp broke"))
    async with activities(still, commit) as does:
        yes = asyncio.create_task(answer(does, await stored(still, "yes", 2)))
        await within("the yes to be committed", commit.reached.wait(), lambda: still.perplexity.prompts)
        await take(still)
        commit.released.set()
        await yes

    assert await rows(still, "SELECT status FROM actions") == [("cancelled",)]
    assert await rows(still, "SELECT 1 FROM effects") == []
    assert await rows(still, "SELECT status FROM turns ORDER BY first_seq") == [("answered",), ("withheld",)]


async def test_a_question_is_not_asked_after_a_take_over(still: System) -> None:
    await configure(still, confirmations={"create_ticket": Confirmation.CUSTOMER})
    still.perplexity.scripts.append(TICKET)
    commit = DatabaseStop("commit_id = :commit_id")
    async with activities(still, commit) as does:
        asking = asyncio.create_task(answer(does, await stored(still, "My lamp broke")))
        await within("the question's commit", commit.reached.wait(), lambda: still.perplexity.prompts)
        await take(still)
        commit.released.set()
        outcome = await asking

    assert (outcome.standing.questions, outcome.standing.owner) == (0, "human")
    assert await rows(still, "SELECT status FROM actions") == [("cancelled",)]


async def test_an_answer_that_comes_after_a_close_by_hand_is_withheld(system: System) -> None:
    system.perplexity.gate.clear()
    waiting = asyncio.create_task(system.send("What does it cost?"))
    await system.until_asked(1)

    await set_state(system, "closed")
    system.perplexity.gate.set()
    response = await waiting
    again = (await system.send("Hello?")).json()

    assert (response.status_code, response.json()["reply"], response.json()["state"]) == (202, None, "closed")
    assert (again["reply"]["text"], again["state"]) == ("You said: Hello?", "bot")


@pytest.mark.parametrize("event", [Event.TAKEN, Event.CLOSED])
async def test_a_repair_is_not_asked_for_under_another_owner(still: System, event: Event) -> None:
    request = await stored(still, "My lamp broke")
    still.perplexity.scripts.append(INVALID)
    async with activities(still) as does:
        assert (await answer(does, request)).step is NextStep.REPAIR
        await _change(still, event)
        assert (await answer(does, request)).step is NextStep.FINISHED

    assert len(still.perplexity.prompts) == 1
    assert await rows(still, "SELECT status FROM turns") == [("withheld",)]


async def test_nobody_is_apologised_to_under_a_human(still: System) -> None:
    request = await stored(still, "Hello")
    await take(still)
    async with activities(still) as does:
        sorry = Apologize(**request.model_dump(), failure=ModelFailureKind.ABANDONED)
        outcome = await ActivityEnvironment().run(does.turn.apologize, sorry)

    assert (outcome.cursor, outcome.state) == (1, State.HUMAN_HANDOFF)
    assert await rows(still, "SELECT 1 FROM messages WHERE direction = 'out'") == []


async def test_nobody_is_told_of_a_failure_that_meets_a_take_over(system: System) -> None:
    async def fails(_question: object) -> AskFailed:
        await take(system)
        return AskFailed(ModelFailureKind.ACCOUNT, "expired")

    system.perplexity.scripts.append(fails)
    response = await system.send("Hello")

    assert (response.status_code, response.json()["reply"]) == (202, None)
    assert (await turns(system))[0]["status"] == "held"


async def test_a_reset_during_a_turn_lets_it_begin_again_in_the_new_thread(system: System) -> None:
    first = (await system.send("Hello")).json()["thread"]
    system.perplexity.gate.clear()
    waiting = asyncio.create_task(system.send("What does it cost?"))
    await system.until_asked(2)

    began = time.monotonic()
    (await system.http.post("/api/session/c-1/reset", json={"new_thread": True})).raise_for_status()
    seconds = time.monotonic() - began
    system.perplexity.gate.set()
    turn = (await waiting).json()
    after = (await system.send("And delivery?")).json()

    assert seconds < 1.0
    assert turn["reply"]["text"] == "You said: What does it cost?"
    assert turn["thread"]["frontend_context_uuid"] != first["frontend_context_uuid"]
    assert after["thread"]["frontend_context_uuid"] == turn["thread"]["frontend_context_uuid"]
    assert system.perplexity.prompts[-1].backend_uuid == turn["thread"]["backend_uuid"]
    history = (await system.http.get("/api/session/c-1/thread")).json()["history"]
    assert [thread["ended_because"] for thread in history] == [None, "reset"]


async def test_an_approval_under_a_human_is_carried_out_and_told_to_staff(system: System) -> None:
    await configure(system, confirmations={"create_ticket": Confirmation.STAFF})
    system.perplexity.scripts.append(TICKET)
    await system.send("My lamp broke")
    [question] = (await set_state(system, "human_handoff"))["questions"]

    body = {"digest": question["digest"], "approved": True, "agent_name": "Ann"}
    (await system.http.post("/api/session/c-1/approval", json=body)).raise_for_status()

    assert await rows(system, "SELECT status FROM effects") == [("confirmed",)]
    said = "SELECT direction, kind, delivery FROM messages WHERE text LIKE 'I have opened a ticket%' ORDER BY direction"
    assert await rows(system, said) == [("event", "note", None), ("out", "text", "withheld")]


async def test_an_approved_handoff_gives_the_conversation_to_a_human(system: System) -> None:
    await configure(system, confirmations={"handoff_support": Confirmation.STAFF})
    system.perplexity.scripts.append(output("handoff_support"))
    await system.send("A human please")
    [question] = (await system.session())["questions"]

    body = {"digest": question["digest"], "approved": True, "agent_name": "Ann"}
    approved = (await system.http.post("/api/session/c-1/approval", json=body)).json()

    assert (approved["owner"], approved["handoff"]["team"]) == ("human", "support")
    assert await rows(system, "SELECT direction FROM messages WHERE text LIKE 'I am passing you on%'") == [("out",)]


async def test_a_reader_of_the_stream_sees_no_more_after_a_take_over(system: System) -> None:
    system.perplexity.scripts.append("The first half. The second half.")
    system.perplexity.gate.clear()
    events = []
    async for event in system.stream("Tell me"):
        events.append(event)
        if event.kind == "chunk" and not system.perplexity.gate.is_set():
            await set_state(system, "human_handoff")
            system.perplexity.gate.set()

    assert "second" not in "".join(event.data.get("text", "") for event in events if event.kind == "chunk")
    assert (events[-1].kind, events[-1].data["reply"]) == ("done", None)


async def test_an_operators_update_by_hand_runs_the_same_statement(system: System) -> None:
    await system.send("Hello")
    handle = system.temporal.get_workflow_handle((await system.session())["workflow_id"])

    await handle.execute_update("set_state", StateRequest(state=State.HUMAN_HANDOFF))

    assert (await system.session())["owner"] == "human"
    assert await rows(system, "SELECT why, who FROM transitions") == [("taken", "operator")]


async def test_the_workflow_shows_what_the_api_changed(system: System) -> None:
    await system.send("Hello")
    handle = system.temporal.get_workflow_handle((await system.session())["workflow_id"])

    await set_state(system, "human_handoff")

    async def remembered() -> str:
        return str((await handle.query("workflow_state"))["state"])

    await until("the workflow's state", remembered, lambda state: state == "human_handoff")
