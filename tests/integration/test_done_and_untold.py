"""What was done while the conversation changed hands is told truthfully: never silence, and never done twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from schemas.actions import AssistantActions
from schemas.assistants import AssistantConfig, HandoffConfig
from schemas.conversations import NextStep, TurnOutcome
from schemas.transitions import Event
from storage.standings import Standings
from tests.support.attempts import activities, answer, perform, stored
from tests.support.shop import BOOK, output
from tests.support.stopping_database import DatabaseStop
from tests.support.waiting import until, within
from tests.system_in_process import System, running_system

TICKET = output("create_ticket", subject="Lamp", description="Broken lamp")
CALL = output("api_call", endpoint="book", params={})
OPENED = "I have opened a ticket for you. Its number is T-1001."
END = "commit_id = :commit_id"


@pytest.fixture
async def still(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    """A system without a worker: the test runs each attempt itself."""
    async with running_system(postgres_url, temporal_address, worker=False) as system:
        yield system


async def rows(system: System, statement: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in await system.database.rows(statement)]


async def said(system: System) -> list[tuple[Any, ...]]:
    return await rows(system, "SELECT text, delivery FROM messages WHERE direction = 'out' ORDER BY stored_at")


async def change(system: System, *events: Event) -> None:
    for event in events:
        await Standings(system.database).change((await system.session())["conversation_id"], event, who="Ann")


async def done_while(still: System, wanted: str, *events: Event) -> TurnOutcome:
    """The effect is done; *events* happen; then the turn ends."""
    request = await stored(still, "Do it")
    still.perplexity.scripts.append(wanted)
    accepted, end = DatabaseStop(END, after=True), DatabaseStop(END)
    async with activities(still, accepted, end) as does:
        turn = asyncio.create_task(answer(does, request))
        await within("the action", accepted.reached.wait(), lambda: still.perplexity.prompts)
        accepted.released.set()
        await within("the end of the turn", end.reached.wait(), lambda: still.perplexity.prompts)
        await change(still, *events)
        end.released.set()
        return await turn


async def test_who_took_and_released_meanwhile_changes_nothing_of_what_was_done(still: System) -> None:
    outcome = await done_while(still, TICKET, Event.TAKEN, Event.RELEASED)

    assert (outcome.step, outcome.cursor) == (NextStep.FINISHED, 1)
    assert await said(still) == [(OPENED, None)]
    assert await rows(still, "SELECT status FROM turns") == [("answered",)]


async def test_it_is_told_also_where_somebody_closed_the_conversation(still: System) -> None:
    await done_while(still, TICKET, Event.CLOSED)

    assert await said(still) == [(OPENED, None)]
    assert (await still.session())["owner"] == "closed"


@pytest.mark.parametrize("answers", [True, False])
@pytest.mark.parametrize("gives_back", [(Event.RELEASED,), (Event.CLOSED, Event.RELEASED)])
async def test_under_a_human_it_is_kept_and_told_after_the_release(
    still: System, gives_back: tuple[Event, ...], *, answers: bool
) -> None:
    """Whatever the assistant leaves to people: it is done, and nobody has told."""
    config = AssistantConfig(handoff=HandoffConfig(answer_waiting_after_release=answers))
    await still.services.configurations.apply("default", config, "test")
    await done_while(still, TICKET, Event.TAKEN)
    kept, held = await said(still), (await still.session())["held"]

    await change(still, *gives_back)

    assert (kept, held) == ([(OPENED, "withheld")], 1)
    assert await said(still) == [(OPENED, None)]
    session = await still.session()
    assert (session["held"], session["waiting_messages"], session["tickets"]) == (0, 0, ["T-1001"])


@pytest.mark.parametrize("wanted", [output("handoff_support"), output("close_conversation")])
async def test_what_only_changes_the_owner_is_thought_about_anew(still: System, wanted: str) -> None:
    """It was not done: somebody has taken and released the conversation since."""
    outcome = await done_while(still, wanted, Event.TAKEN, Event.RELEASED)

    assert outcome.step is NextStep.AGAIN
    assert await said(still) == []
    settled = "SELECT e.status, e.failure, a.status FROM effects e JOIN actions a ON a.effect_key = e.key"
    assert await rows(still, settled) == [("failed", "withheld", "cancelled")]
    session = await still.session()
    assert (session["owner"], session["handoff"]) == ("bot", None)


async def booked(still: System, *events: Event) -> Any:
    """A booking is done, and its result goes back to the model; then *events*."""
    await still.services.configurations.apply(
        "default", AssistantConfig(actions=AssistantActions(endpoints=[BOOK])), "t"
    )
    request = await stored(still, "Book it")
    still.perplexity.scripts.extend([CALL, "not {valid", CALL])
    async with activities(still) as does:
        outcome = await answer(does, request)
        assert (await perform(does, request, outcome)).step is NextStep.CONCLUDE
        await change(still, *events)
    return request


@pytest.mark.parametrize("events", [[Event.TAKEN], [Event.TAKEN, Event.CLOSED], [Event.CLOSED]])
async def test_that_nobody_knows_what_was_done_is_said_too(still: System, events: list[Event]) -> None:
    """Another attempt took the effect from the one that brought the result, and died; to ask anew could do it twice."""
    request = await booked(still, *events)
    await still.database.rows("UPDATE effects SET status = 'unknown', fence = fence + 1")
    async with activities(still) as does:
        await answer(does, request)
    await change(still, Event.RELEASED)

    unknown = "I could not make sure whether that went through. A colleague will check and tell you."
    assert await said(still) == [(unknown, None)]
    assert (len(still.perplexity.prompts), len(still.endpoints.calls)) == (1, 1)


@pytest.mark.parametrize(
    ("events", "kept"), [([Event.TAKEN], "withheld"), ([Event.TAKEN, Event.CLOSED], None), ([Event.CLOSED], None)]
)
async def test_where_the_model_may_not_conclude_it_is_said_that_it_is_done(
    still: System, events: list[Event], kept: str | None
) -> None:
    request = await booked(still, *events)
    async with activities(still) as does:
        await answer(does, request)
    before = await said(still)
    await change(still, Event.RELEASED)

    assert before == [("That is done.", kept)]
    assert await said(still) == [("That is done.", None)]
    assert (len(still.perplexity.prompts), len(still.endpoints.calls)) == (1, 1)
    assert (await still.session())["waiting_messages"] == 0


async def test_a_repair_after_it_does_not_begin_from_the_beginning(still: System) -> None:
    """The final words are unusable; while they are repaired, a person takes and releases the conversation."""
    request = await booked(still)
    still.perplexity.scripts.clear()
    still.perplexity.scripts.extend([output("create_ticket"), "Booked, I mean.", "Your table is booked."])
    repaired = DatabaseStop(END)
    async with activities(still) as does:
        assert (await answer(does, request)).step is NextStep.REPAIR
    async with activities(still, repaired) as does:
        repairing = asyncio.create_task(answer(does, request))
        await within("the repaired words", repaired.reached.wait(), lambda: still.perplexity.prompts)
        await change(still, Event.TAKEN, Event.RELEASED)
        repaired.released.set()
        again = await repairing
        assert again.step is NextStep.CONCLUDE
        await answer(does, request)

    assert await said(still) == [("Your table is booked.", None)]
    assert len(still.endpoints.calls) == 1


async def test_the_workflow_tells_it_after_the_release(system: System) -> None:
    await system.services.configurations.apply(
        "default", AssistantConfig(actions=AssistantActions(endpoints=[BOOK])), "t"
    )
    system.endpoints.gate.clear()
    system.perplexity.scripts.append(CALL)
    waiting = asyncio.create_task(system.send("Book it"))
    await until("the call", lambda: system.endpoints.calls)
    state = {"state": "human_handoff"}
    (await system.http.post("/api/session/c-1/state", json=state)).raise_for_status()
    system.endpoints.gate.set()
    assert (await waiting).status_code == 202

    (await system.http.post("/api/session/c-1/state", json={"state": "bot"})).raise_for_status()

    assert await said(system) == [("That is done.", None)]
    assert len(system.endpoints.calls) == 1
