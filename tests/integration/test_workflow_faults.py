"""What an operator or an outage does to a conversation's workflow: it ends as asked, or waits, and tells the truth."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import (
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowUpdateFailedError,
)

from schemas.conversations import ConversationStart, StateRequest
from schemas.turns import State
from storage.overview import Overview
from tests.support import clock
from tests.support.waiting import until
from tests.system_in_process import System, running_system
from tests.workflow.handles import attributes_of, ended, handle_of
from worker.app import create_worker


async def cancelled_while_answering(system: System) -> tuple[WorkflowHandle[Any, Any], int]:
    system.perplexity.gate.clear()
    sending = asyncio.create_task(system.send("Hello"))
    await system.until_asked(1)
    handle = await handle_of(system)
    await handle.cancel()
    response = await sending
    with pytest.raises(WorkflowFailureError):
        await ended(handle)
    system.perplexity.gate.set()
    return handle, response.status_code


async def test_cancel_ends_the_run_and_apologises_to_nobody(system: System) -> None:
    handle, status = await cancelled_while_answering(system)

    assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED
    assert status == 503
    assert await system.database.rows("SELECT text FROM messages WHERE direction = 'out'") == []
    assert await system.database.rows("SELECT 1 FROM account_calls WHERE ended_at IS NULL") == []


async def test_a_cancelled_conversation_is_left_alone_and_listed(system: System) -> None:
    await cancelled_while_answering(system)

    assert await system.services.waiting.overdue(0, 10) == []
    [trouble] = await Overview(system.database).trouble(10)
    assert trouble.what == "stopped by an operator, messages waiting: 1"


async def test_a_cancelled_conversation_goes_on_with_the_next_message(system: System) -> None:
    await cancelled_while_answering(system)

    answer = (await system.send("Are you there?")).json()

    assert answer["reply"]["text"] == "You said: Hello\n\nAre you there?"


async def test_a_cancelled_conversation_goes_on_after_a_reset(system: System) -> None:
    await cancelled_while_answering(system)

    await system.http.post("/api/session/c-1/reset", json={"new_thread": False})

    [answer] = await until("its answer", lambda: system.database.rows(_ANSWERS), bool)
    assert answer["text"] == "You said: Hello"


_ANSWERS = "SELECT text FROM messages WHERE direction = 'out'"


async def test_a_database_that_cannot_be_read_fails_no_workflow(system: System) -> None:
    start = ConversationStart(conversation_id=uuid4(), channel="http")
    queue = system.settings.temporal_task_queue
    handle = await system.temporal.start_workflow("Conversation", start, id=f"x-{uuid4()}", task_queue=queue)

    async def attempts() -> int:
        pending = (await handle.describe()).raw_description.pending_activities
        return max((activity.attempt for activity in pending), default=0)

    await until("a third attempt", attempts, lambda number: number >= 3)

    assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
    await handle.terminate()


async def test_a_fresh_run_shows_what_is_true(postgres_url: str, temporal_address: str) -> None:
    async with running_system(postgres_url, temporal_address) as system:
        await system.send("Hello")
        await system.http.post("/api/session/c-1/state", json={"state": "human_handoff", "reason": "mine"})
        await (await handle_of(system)).terminate("as if its server was made anew")

        held = await system.send("Are you there?")
        attributes = await attributes_of(system)

    assert held.status_code == 202
    assert attributes["ConversationState"] == "human_handoff"
    assert attributes["HandoffOpen"] is True
    assert attributes["LastVerdict"] == "text"


async def test_limits_are_read_anew_with_each_run(postgres_url: str, temporal_address: str) -> None:
    settings = {"worker": False, "continue_as_new_turns": 1}
    async with running_system(postgres_url, temporal_address, **settings) as system:
        async with create_worker(system.temporal, system.database, system.outside, system.settings, now=clock.now):
            await system.send("Hello")
        hasty = system.settings.model_copy(update={"idle_end_seconds": 0.5, "continue_as_new_turns": 100})
        async with create_worker(system.temporal, system.database, system.outside, hasty, now=clock.now):
            await system.send("Hello again")
            handle = await handle_of(system)
            await ended(handle)

        assert (await handle.describe()).status is WorkflowExecutionStatus.COMPLETED


async def test_a_state_that_follows_from_what_is_open_cannot_be_set(system: System) -> None:
    await system.send("Hello")
    body = {"state": "ticket_open", "reason": "x"}

    over_http = await system.http.post("/api/session/c-1/state", json=body)
    with pytest.raises(WorkflowUpdateFailedError):
        await (await handle_of(system)).execute_update("set_state", StateRequest(state=State.TICKET_OPEN))

    assert over_http.status_code == 422
