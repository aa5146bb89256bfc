"""Attempts at a turn that a test runs itself, on a system without a worker: each with its own stops."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from temporalio.testing import ActivityEnvironment

from schemas.conversations import Perform, Thread, TurnOutcome, TurnRequest
from storage.turn_views import TurnViews
from tests.incoming import incoming
from tests.support import clock
from tests.support.stopping_database import DatabaseStop, StoppingDatabase
from tests.system_in_process import System
from worker.app import Activities, create_activities


@asynccontextmanager
async def activities(system: System, *stops: DatabaseStop) -> AsyncIterator[Activities]:
    """The system's activities, whose statements stop where *stops* say."""
    database = StoppingDatabase(system.settings.database_url or "", *stops)
    try:
        yield create_activities(system.temporal, database, system.outside, system.settings, now=clock.now)
    finally:
        await database.close()


async def stored(system: System, text: str, number: int = 1, customer: str = "c-1") -> TurnRequest:
    """A message in the inbox, and what the workflow would ask for then."""
    message = await system.services.inbox.store(incoming(text, number, customer))
    thread = Thread(frontend_context_uuid=uuid4())
    return TurnRequest(conversation_id=message.conversation_id, cursor=message.seq - 1, thread=thread)


async def answer(does: Activities, request: TurnRequest) -> TurnOutcome:
    return await ActivityEnvironment().run(does.turn.answer, request)


async def asked(does: Activities, system: System, request: TurnRequest) -> TurnOutcome:
    """An answer that is a question, which its caller over HTTP has read."""
    outcome = await answer(does, request)
    assert outcome.turn_id is not None
    await TurnViews(system.database).give(outcome.turn_id)
    return outcome


async def perform(does: Activities, request: TurnRequest, outcome: TurnOutcome) -> TurnOutcome:
    assert outcome.action_id is not None
    asked = Perform(action_id=outcome.action_id)
    return await ActivityEnvironment().run(does.actions.perform, asked)
