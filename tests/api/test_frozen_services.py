"""PostgreSQL and Temporal that are there and do not answer, or do not write: every call is told so, and soon."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from api.readiness import ReadinessChecks
from storage.database import Database
from tests.silence import Way, way_to
from tests.support.waiting import until
from tests.system_in_process import System, running_system

CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("reset", {"new_thread": True}),
    ("state", {"state": "human_handoff"}),
    ("approval", {"digest": "d" * 64, "approved": True, "agent_name": "Ann"}),
]


@pytest.fixture
async def frozen_later(postgres_url: str, temporal_address: str) -> AsyncIterator[tuple[System, Way]]:
    """An API process without a worker, and its way to Temporal."""
    host, _, port = temporal_address.partition(":")
    quickly = {
        "temporal_rpc_timeout_seconds": 1.0,
        "readiness_timeout_seconds": 1.0,
        "readiness_cache_seconds": 0.0,
        "readiness_watch_seconds": 0.2,
    }
    async with (
        way_to(partial(asyncio.open_connection, host, int(port))) as way,
        running_system(postgres_url, way.address, worker=False, **quickly) as system,
    ):
        yield system, way


async def make_read_only(system: System, wanted: str) -> None:
    [here] = await system.database.rows("SELECT current_database() AS name")
    await system.database.rows("SET default_transaction_read_only = off")
    await system.database.rows(f"ALTER DATABASE {here['name']} SET default_transaction_read_only = {wanted}")
    await system.database.engine.dispose()  # the setting is read when a connection begins


@pytest.mark.parametrize(("change", "body"), CHANGES)
async def test_a_change_while_the_database_is_read_only(system: System, change: str, body: dict[str, Any]) -> None:
    await system.send("Hello")
    before = await system.session()
    await make_read_only(system, "on")
    began = time.monotonic()

    response = await system.http.post(f"/api/session/c-1/{change}", json=body)

    assert response.status_code == 503, response.text
    assert int(response.headers["Retry-After"]) > 0
    assert time.monotonic() - began < 3
    assert (await system.session())["state"] == before["state"]


async def test_a_change_does_not_wait_for_as_long_as_a_reply(postgres_url: str, temporal_address: str) -> None:
    settings = {"worker": False, "change_wait_seconds": 0.5}
    async with running_system(postgres_url, temporal_address, **settings) as system:
        sending = asyncio.create_task(system.send("Hello"))
        await until("a stored message", system.services.waiting.count)
        began = time.monotonic()

        decision = {"digest": "0" * 64, "approved": True, "agent_name": "Ann"}
        response = await system.http.post("/api/session/c-1/approval", json=decision)

        assert response.status_code == 503, response.text
        assert time.monotonic() - began < 5
        system.services.answers.stop()
        assert (await sending).status_code == 503


async def test_a_caller_of_a_frozen_temporal_is_told_to_come_again(frozen_later: tuple[System, Way]) -> None:
    system, way = frozen_later
    sending = asyncio.create_task(system.send("Hello", message_id="m-1"))
    await until("a stored message", system.services.waiting.count)
    way.is_open = False
    began = time.monotonic()

    response = await sending

    assert response.status_code == 503, response.text
    assert int(response.headers["Retry-After"]) > 0
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("in_the_middle", [True, False])
async def test_a_decision_is_not_told_as_busy(frozen_later: tuple[System, Way], *, in_the_middle: bool) -> None:
    """Nobody will carry it out now: whoever decides is told so, long before CHANGE_WAIT_SECONDS are over."""
    system, way = frozen_later
    sending = asyncio.create_task(system.send("Hello", message_id="m-1"))
    await until("a stored message", system.services.waiting.count)
    way.is_open = in_the_middle
    body = {"digest": "0" * 64, "approved": True, "agent_name": "Ann"}
    deciding = asyncio.create_task(system.http.post("/api/session/c-1/approval", json=body))
    if in_the_middle:
        handed_in = "SELECT 1 FROM audit WHERE deed = 'action.answered'"
        await until("a decision that is handed in", lambda: system.database.rows(handed_in))
        way.is_open = False
    began = time.monotonic()

    response = await deciding

    assert (response.status_code, int(response.headers["Retry-After"]) > 0) == (503, True)
    assert "Temporal" in response.json()["detail"]
    assert time.monotonic() - began < 8
    assert bool(await system.database.rows("SELECT 1 FROM audit WHERE deed = 'action.answered'")) is in_the_middle
    assert (await sending).status_code == 503


async def test_a_caller_outlasts_a_temporal_that_answers(frozen_later: tuple[System, Way]) -> None:
    system, _ = frozen_later
    sending = asyncio.create_task(system.send("Hello", message_id="m-1"))
    lost = asyncio.create_task(system.services.readiness.until_temporal_is_lost(1.0))

    await until("several looks at the database", lambda: sum("generate_series" in s for s in system.statements) >= 3)

    assert not sending.done()
    assert not lost.done()
    lost.cancel()
    system.services.answers.stop()
    assert (await sending).status_code == 503


async def test_a_silent_database_is_told_of_in_time(system: System) -> None:
    address = urlsplit(system.settings.database_url or "")
    (folder,) = parse_qs(address.query)["host"]
    settings = system.settings.model_copy(update={"readiness_timeout_seconds": 1.0, "readiness_cache_seconds": 0.0})
    async with way_to(partial(asyncio.open_unix_connection, f"{folder}/.s.PGSQL.5432")) as way:
        database = Database(f"postgresql://postgres@{way.address}{address.path}")
        checks = ReadinessChecks(database, system.services.conversations, settings)
        await until("a database that answers and a worker", checks.now, lambda seen: seen.can_answer)
        way.is_open = False
        began = time.monotonic()

        found = await checks.now()

        assert time.monotonic() - began < 2
        assert found.missing == ["PostgreSQL does not answer: no answer within 1 s"]
    await database.close()
