"""What a caller is told once the database fails: whether their message is kept; a short outage is waited for."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from api.answers import Answers
from schemas.messages import CustomerIdentity, IncomingMessage
from storage.database import StorageUnavailable
from storage.turn_views import TurnViews
from tests.api.test_frozen_services import make_read_only
from tests.support.stopping_database import DatabaseStop, StoppingDatabase
from tests.support.waiting import until
from tests.system_in_process import System, running_system

KEPT = "Your message is kept, but the database is unavailable"


@pytest.fixture
async def impatient(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    async with running_system(postgres_url, temporal_address, database_retry_seconds=0.3) as system:
        yield system


async def test_a_message_that_is_stored_is_said_to_be_kept(impatient: System) -> None:
    """Its answer cannot be read, in either way of asking for it."""
    await impatient.send("Hello", message_id="m-1")
    await impatient.database.rows("ALTER TABLE raw_outputs RENAME TO unreachable")

    told = await impatient.send("Hello", message_id="m-1")
    streamed = [event async for event in impatient.stream("Hello", message_id="m-1")]

    assert told.status_code == 503
    assert told.json()["detail"].startswith(KEPT)
    assert [event.kind for event in (streamed[0], streamed[-1])] == ["accepted", "error"]
    assert streamed[-1].data["detail"] == told.json()["detail"]


@pytest.mark.parametrize("path", ["/api/message", "/api/query_async"])
async def test_what_the_database_did_not_say_is_not_claimed(system: System, path: str) -> None:
    await system.send("Hello")
    await make_read_only(system, "on")

    told = await system.http.post(path, json={"customer_id": "c-1", "text": "More"})

    assert told.status_code == 503
    assert "did not say whether your message is kept" in told.json()["detail"]
    assert "message_id" in told.json()["detail"]


async def test_a_stream_rides_out_a_short_outage(postgres_url: str, temporal_address: str) -> None:
    async with running_system(postgres_url, temporal_address, stream_look_seconds=0.1) as system:
        await _ride_out(system)


async def _ride_out(system: System) -> None:
    def looks() -> int:
        return sum("FROM stream_events" in each for each in system.statements)

    system.perplexity.gate.clear()
    events = system.stream("Hello")
    accepted, first = await anext(events), await anext(events)
    await system.database.rows("ALTER TABLE stream_events RENAME TO unreachable")
    before = looks()

    async def looked() -> int:
        return looks() - before

    await until("two looks at what cannot be read", looked, lambda many: many >= 2)
    await system.database.rows("ALTER TABLE unreachable RENAME TO stream_events")
    system.perplexity.gate.set()
    rest = [event async for event in events]

    assert (accepted.kind, first.data) == ("accepted", {"text": "You sai"})
    assert [event.kind for event in rest if event.kind != "chunk"] == ["done"]
    assert rest[-1].data["reply"]["text"] == "You said: Hello"


async def test_reading_an_answer_rides_out_a_short_outage(system: System) -> None:
    failing = DatabaseStop("AS turn_id, t.conversation_id", error=StorageUnavailable("away for a moment"))
    database = StoppingDatabase(system.settings.database_url or "", failing)
    answers = Answers(system.services.conversations, TurnViews(database), system.services.readiness, system.settings)
    customer = CustomerIdentity(kind="customer_id", value="c-1")
    message = IncomingMessage(
        channel="http", identities=[customer], id_scope="c-1", channel_message_id="m-1", text="Hello"
    )

    turn = (await answers.to(await system.services.inbox.store(message))).turn
    await database.close()

    assert failing.reached.is_set()
    assert turn.reply is not None
    assert turn.reply.text == "You said: Hello"
