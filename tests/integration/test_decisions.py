"""Staff's decisions on what waits for them: each takes effect once, under the owner that it was decided under."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from schemas.actions import AssistantActions, Confirmation
from schemas.assistants import AssistantConfig
from schemas.conversations import ApprovalDecision
from schemas.transitions import Event
from storage.actions import Actions
from storage.standings import Standings
from tests.support.attempts import activities, answer, stored
from tests.support.shop import output
from tests.support.stopping_database import DatabaseStop
from tests.support.waiting import within
from tests.system_in_process import System, running_system

HANDOFF, CLOSE = output("handoff_support"), output("close_conversation")
TICKET = output("create_ticket", subject="Lamp", description="Broken lamp")
CLAIM = "SET status = 'sending', fence"
TOLD = "tell_decision("
BY_STAFF = {name: Confirmation.STAFF for name in ("handoff_support", "close_conversation", "create_ticket")}


@pytest.fixture
async def still(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    """A system without a worker: the test runs each attempt itself."""
    async with running_system(postgres_url, temporal_address, worker=False) as system:
        yield system


async def configure(system: System) -> None:
    config = AssistantConfig(actions=AssistantActions(confirmations=BY_STAFF))
    await system.services.configurations.apply("default", config, "test")


async def rows(system: System, statement: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in await system.database.rows(statement)]


async def asked(system: System, wanted: str) -> dict[str, Any]:
    """The conversation with an action that waits for staff."""
    await configure(system)
    system.perplexity.scripts.append(wanted)
    await system.send("Please")
    return await system.session()


async def approve(system: System, session: dict[str, Any]) -> dict[str, Any]:
    body = {"digest": session["pending_action"]["digest"], "approved": True, "agent_name": "Ann"}
    response = await system.http.post("/api/session/c-1/approval", json=body)
    response.raise_for_status()
    return dict(response.json())


async def waiting(still: System, wanted: str) -> ApprovalDecision:
    """An approval that Ann has handed in, of an action that waits for it."""
    await configure(still)
    request = await stored(still, "Please")
    still.perplexity.scripts.append(wanted)
    async with activities(still) as does:
        await answer(does, request)
    [question] = (await still.session())["questions"]
    by = await Actions(still.database).hand_in(request.conversation_id, approved=True, who="Ann")
    return ApprovalDecision(digest=question["digest"], approved=True, by=by, conversation_id=request.conversation_id)


async def meets(still: System, decision: ApprovalDecision, stop: DatabaseStop, *events: Event) -> None:
    """The decision is carried out up to *stop*; then *events* happen, and it goes on."""
    assert decision.conversation_id is not None
    async with activities(still, stop) as does:
        deciding = asyncio.create_task(ActivityEnvironment().run(does.actions.resolve_approval, decision))
        await within("the decision", stop.reached.wait(), lambda: stop.marker)
        for event in events:
            await Standings(still.database).change(decision.conversation_id, event, who="Bob")
        stop.released.set()
        await deciding


@pytest.mark.parametrize("wanted", [HANDOFF, CLOSE])
async def test_the_same_approval_again_after_a_release_changes_nothing(system: System, wanted: str) -> None:
    session = await asked(system, wanted)
    taken = await approve(system, session)
    (await system.http.post("/api/session/c-1/state", json={"state": "bot"})).raise_for_status()

    again = await approve(system, session)

    assert taken["owner"] in ("human", "closed")
    assert (again["owner"], again["handoff"]) == ("bot", None)
    assert [why for (why,) in await rows(system, "SELECT why FROM transitions ORDER BY id")][-1] == "released"


@pytest.mark.parametrize(("wanted", "to"), [(HANDOFF, "human"), (CLOSE, "closed")])
async def test_an_attempt_that_follows_one_that_died_after_telling_changes_nothing(
    still: System, wanted: str, to: str
) -> None:
    decision = await waiting(still, wanted)
    async with activities(still) as does:
        for _ in range(2):
            await ActivityEnvironment().run(does.actions.resolve_approval, decision)

    assert (await still.session())["owner"] == to
    assert len(await rows(still, "SELECT 1 FROM messages WHERE id_scope = 'action'")) == 1
    assert len(await rows(still, "SELECT 1 FROM transitions WHERE from_owner <> to_owner")) == 1


@pytest.mark.parametrize("wanted", [HANDOFF, CLOSE])
@pytest.mark.parametrize("stop", [(CLAIM, False), (CLAIM, True), (TOLD, False)])
@pytest.mark.parametrize("events", [(Event.RESET,), (Event.TAKEN, Event.RELEASED)])
async def test_a_decision_that_others_have_overtaken_gives_the_conversation_to_nobody(
    still: System, wanted: str, stop: tuple[str, bool], events: tuple[Event, ...]
) -> None:
    decision = await waiting(still, wanted)
    marker, after = stop

    await meets(still, decision, DatabaseStop(marker, after=after), *events)

    session = await still.session()
    assert (session["owner"], session["handoff"]) == ("bot", None)
    assert await rows(still, "SELECT 1 FROM handoffs WHERE released_at IS NULL") == []
    said = "SELECT direction, text FROM messages WHERE id_scope = 'action'"
    assert await rows(still, said) == [("out", "I'm sorry, that did not work. Nothing was changed.")]
    settled = "SELECT e.status, e.failure, a.status FROM effects e JOIN actions a ON a.effect_key = e.key"
    assert await rows(still, settled) == [("failed", "withheld", "cancelled")]


async def test_what_leaves_the_owner_alone_is_done_whoever_has_the_conversation_by_then(still: System) -> None:
    decision = await waiting(still, TICKET)

    await meets(still, decision, DatabaseStop(CLAIM), Event.TAKEN, Event.RELEASED)

    said = "SELECT direction, text FROM messages WHERE id_scope = 'action'"
    assert await rows(still, said) == [("out", "I have opened a ticket for you. Its number is T-1001.")]


async def test_the_name_of_who_decided_stands_in_the_record(system: System) -> None:
    await approve(system, await asked(system, HANDOFF))

    assert await rows(system, "SELECT decided_by FROM actions") == [("Ann",)]
    assert ("Ann",) in await rows(system, "SELECT actor FROM audit WHERE deed = 'action.decided'")
    assert ("human", "Ann") in await rows(system, "SELECT to_owner, who FROM transitions")


async def test_what_the_customer_wrote_before_a_close_was_approved_opens_the_conversation(still: System) -> None:
    """The close is the bot's own, and the bot had not read that when it asked for it."""
    decision = await waiting(still, CLOSE)
    later = await stored(still, "Wait, one more thing", 2)
    async with activities(still) as does:
        await ActivityEnvironment().run(does.actions.resolve_approval, decision)
        closed = (await still.session())["owner"]
        await answer(does, later)

    session = await still.session()
    assert (closed, session["owner"], session["held"]) == ("closed", "bot", 0)
    assert ("You said: Wait, one more thing",) in await rows(still, "SELECT text FROM messages WHERE direction = 'out'")
