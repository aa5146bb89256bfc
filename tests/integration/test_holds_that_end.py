"""Messages are held for as long as their reason lasts: it may end between a turn's claim and the commit that holds it.

Without a worker: the test runs each attempt itself. Over HTTP: test_unanswered.py, test_answers_to_held.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest

from schemas.actions import AssistantActions
from schemas.assistants import AssistantConfig
from schemas.conversations import Apologize, TurnOutcome, TurnRequest
from schemas.standing import Owner
from schemas.transitions import Event
from storage.desk import Desk
from storage.standings import Standings
from tests.support.attempts import activities, answer, stored
from tests.support.shop import output
from tests.support.stopping_database import DatabaseStop
from tests.support.waiting import within
from tests.system_in_process import System, running_system

TICKET = output("create_ticket", subject="Lamp", description="Broken lamp")
COMMIT = "commit_id = :commit_id"


@pytest.fixture
async def still(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    async with running_system(postgres_url, temporal_address, worker=False) as system:
        yield system


async def configure(system: System, ticket_open: str) -> None:
    actions = AssistantActions.model_validate({"ticket_open": ticket_open})
    await system.services.configurations.apply("default", AssistantConfig(actions=actions), "test")


async def run(system: System, request: TurnRequest) -> TurnOutcome:
    async with activities(system) as does:
        return await answer(does, request)


async def under_a_ticket(system: System) -> TurnRequest:
    """A message that comes while a ticket is open, of an assistant that holds it."""
    await configure(system, "hold")
    system.perplexity.scripts.append(TICKET)
    await run(system, await stored(system, "My lamp broke"))
    return await stored(system, "Any news?", 2)


async def resolved(system: System) -> None:
    await Desk(system.database).resolve_ticket("T-1001", who="Ann")


async def answering(system: System) -> None:
    await configure(system, "answer")


async def said(system: System) -> Sequence[str]:
    rows = await system.database.rows(
        "SELECT text FROM messages WHERE direction = 'out' AND delivery IS NULL ORDER BY stored_at"
    )
    return [row["text"] for row in rows]


async def next_turn(system: System, request: TurnRequest, outcome: TurnOutcome) -> TurnOutcome:
    """The workflow's next turn, if what it was told of lies beyond the cursor."""
    assert (outcome.waiting_seq or 0) > outcome.cursor
    return await run(system, request.model_copy(update={"cursor": outcome.cursor}))


@pytest.mark.parametrize("ends", [resolved, answering])
async def test_the_reason_ends_between_claim_and_commit(
    still: System, ends: Callable[[System], Awaitable[None]]
) -> None:
    request = await under_a_ticket(still)
    stop = DatabaseStop(COMMIT)
    async with activities(still, stop) as does:
        holding = asyncio.create_task(answer(does, request))
        await within("the commit", stop.reached.wait(), lambda: "")
        await ends(still)
        stop.released.set()
        outcome = await holding

    await next_turn(still, request, outcome)

    assert (await said(still))[-1] == "You said: Any news?"
    assert (await still.session())["held"] == 0


async def test_a_configuration_that_holds_no_more_answers_what_was_held(still: System) -> None:
    request = await under_a_ticket(still)
    outcome = await run(still, request)
    before = await still.session()
    await answering(still)
    after = await still.session()
    await run(still, request.model_copy(update={"cursor": outcome.cursor}))

    assert (before["held"], before["waiting_messages"], after["waiting_messages"]) == (1, 0, 1)
    assert (await said(still))[-1] == "You said: Any news?"
    assert (await still.session())["held"] == 0


@pytest.mark.parametrize("ticket_open", ["hold", "answer"])
async def test_another_configuration_asks_nobody_again(still: System, ticket_open: str) -> None:
    """It still holds; or it held nothing before."""
    request = await under_a_ticket(still)
    outcome = await run(still, request)
    await resolved(still)
    await run(still, request.model_copy(update={"cursor": outcome.cursor}))
    await configure(still, ticket_open)

    session = await still.session()
    assert (session["held"], session["waiting_messages"]) == (0, 0)


async def test_it_is_held_while_the_ticket_is_open(still: System) -> None:
    request = await under_a_ticket(still)
    outcome = await run(still, request)
    await configure(still, "hold")
    await Standings(still.database).change(request.conversation_id, Event.TAKEN, who="Ann")
    await Standings(still.database).change(request.conversation_id, Event.RELEASED, who="Ann")

    session = await still.session()
    assert outcome.waiting_seq is None
    assert (session["held"], session["waiting_messages"]) == (1, 0)


async def test_a_worker_that_dies_after_the_commit_takes_nothing_with_it(still: System) -> None:
    """What a message that opens the conversation brings to be answered, the next attempt tells too."""
    first = await stored(still, "It is urgent")
    await Standings(still.database).change(first.conversation_id, Event.TAKEN, who="Ann")
    held = await run(still, first)
    await Standings(still.database).change(first.conversation_id, Event.CLOSED, who="Ann")
    request = await stored(still, "Hello again", 2)
    stop = DatabaseStop(COMMIT, after=True, error=RuntimeError("died"))
    async with activities(still, stop) as does:
        with pytest.raises(RuntimeError):
            await answer(does, request)

    await next_turn(still, request, await run(still, request))

    assert held.cursor == 1
    assert await said(still) == ["You said: Hello again", "You said: It is urgent"]


async def test_a_change_that_is_repeated_tells_again_what_is_to_be_answered(still: System) -> None:
    """Its first attempt may have died before it told anybody."""
    request = await stored(still, "It is urgent")
    standings = Standings(still.database)
    await standings.change(request.conversation_id, Event.TAKEN, who="Ann")
    await run(still, request)
    first = await standings.change(request.conversation_id, Event.RELEASED, who="Ann")
    again = await standings.change(request.conversation_id, Event.RELEASED, who="Ann")

    assert (first.waiting_seq, again.waiting_seq) == (2, 2)


class Dies(RuntimeError):
    pass


async def closed_before_the_claim(system: System, request: TurnRequest) -> TurnOutcome:
    await Standings(system.database).change(request.conversation_id, Event.CLOSED, who="Ann")
    return await run(system, request)


async def closed_while_asking(system: System, request: TurnRequest) -> TurnOutcome:
    system.perplexity.gate.clear()
    asking = asyncio.create_task(run(system, request))
    await system.until_asked(1)
    await Standings(system.database).change(request.conversation_id, Event.CLOSED, who="Ann")
    system.perplexity.gate.set()
    return await asking


async def closed_and_the_worker_dies(system: System, request: TurnRequest) -> TurnOutcome:
    stop = DatabaseStop(COMMIT, error=Dies())
    async with activities(system, stop) as does:
        with pytest.raises(Dies):
            await answer(does, request)
    return await closed_before_the_claim(system, request)


async def closed_and_the_tries_are_used_up(system: System, request: TurnRequest) -> TurnOutcome:
    await Standings(system.database).change(request.conversation_id, Event.CLOSED, who="Ann")
    async with activities(system) as does:
        return await does.turn.apologize(Apologize(**request.model_dump()))


@pytest.mark.parametrize(
    "close",
    [closed_before_the_claim, closed_while_asking, closed_and_the_worker_dies, closed_and_the_tries_are_used_up],
)
async def test_what_came_before_a_close_is_held_until_it_is_opened_again(
    still: System, close: Callable[[System, TurnRequest], Awaitable[TurnOutcome]]
) -> None:
    """Wherever its turn was then. It is not lost: the message that opens the conversation brings it its answer."""
    request = await stored(still, "What does it cost?")
    outcome = await close(still, request)
    closed, silent = await still.session(), await said(still)

    opened = await run(still, await stored(still, "Hello?", 2))
    await next_turn(still, request, opened)

    assert (outcome.cursor, closed["owner"], closed["held"], silent) == (1, Owner.CLOSED, 1, [])
    assert await said(still) == ["You said: Hello?", "You said: What does it cost?"]
    assert (await still.session())["owner"] == Owner.BOT


async def test_a_message_from_after_the_close_opens_it_with_those_from_before(still: System) -> None:
    request = await stored(still, "What does it cost?")
    await Standings(still.database).change(request.conversation_id, Event.CLOSED, who="Ann")
    await stored(still, "Hello?", 2)

    await run(still, request)

    assert await said(still) == ["You said: What does it cost?\n\nHello?"]
    assert (await still.session())["owner"] == Owner.BOT


async def test_what_was_written_while_the_bot_itself_closed_opens_it_again(still: System) -> None:
    """The bot had not read it."""
    request = await stored(still, "That is all, bye")
    still.perplexity.scripts.append(output("close_conversation"))
    stop = DatabaseStop(COMMIT)
    async with activities(still, stop) as does:
        closing = asyncio.create_task(answer(does, request))
        await within("the commit", stop.reached.wait(), lambda: "")
        second = await stored(still, "One thing more", 2)
        stop.released.set()
        await closing
    closed = (await still.session())["owner"]

    await run(still, second)

    assert (closed, (await said(still))[-1]) == (Owner.CLOSED, "You said: One thing more")
