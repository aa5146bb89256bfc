"""Words stay in PostgreSQL: no failure, history or log holds any, also when a statement is cut in the middle."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any, get_args
from uuid import uuid4

import pytest
import structlog
from pydantic import BaseModel
from temporalio.api.failure.v1 import Failure
from temporalio.contrib.pydantic import pydantic_data_converter

from config.settings import Settings
from integrations.perplexity.port import AskFailed
from schemas import conversations
from schemas.actions import AssistantActions, Confirmation
from schemas.assistants import AssistantConfig
from schemas.failures import ModelFailureKind
from storage.database import StatementFailed, StorageUnavailable
from tests.support.shop import output
from tests.support.waiting import until, within
from tests.system_in_process import System, running_system
from worker.wordless import coming_again, without_words

MARK = "Unmistakable"
BLOCKED = """
SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity
 WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE :query
"""


@pytest.fixture
async def system(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    """Gives up at once when the database is unavailable, so that the failure reaches Temporal."""
    async with running_system(postgres_url, temporal_address, database_retry_seconds=0.001) as system:
        yield system


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as lines:
        yield lines


async def history_of(system: System, customer: str) -> str:
    session = await system.session(customer)
    history = await system.temporal.get_workflow_handle(session["workflow_id"]).fetch_history()
    return history.to_json()


async def test_a_commit_that_is_cut_leaves_no_words_behind(
    system: System, lines: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    system.perplexity.scripts.append(lambda _: cut_after(f"{MARK} answer"))
    locked = asyncio.Event()

    async def cut_after(said: str) -> str:
        await within("the lock", locked.wait(), lambda: "no lock")
        return said

    sending = asyncio.create_task(system.send(f"{MARK} question", customer=f"{MARK}-1", message_id=f"{MARK}-m"))
    await system.until_asked(1)
    async with system.database.transaction() as transaction:
        await transaction.rows("SELECT id FROM conversations FOR UPDATE")
        locked.set()
        await until("a commit that was cut", lambda: system.database.rows(BLOCKED, {"query": "%commit_id%"}))
    answer = await sending

    assert answer.status_code == 200
    history = await history_of(system, f"{MARK}-1")
    assert "StorageUnavailable" in history
    assert MARK not in history
    assert MARK not in "".join(record.getMessage() + str(record.exc_info) for record in caplog.records)
    told = [line for line in lines if line["event"] != "turn"]  # the one line that holds the raw output
    assert MARK not in str(told)


async def test_what_upstream_says_of_a_failure_stays_in_the_database(system: System) -> None:
    failed = AskFailed(ModelFailureKind.UPSTREAM, f"{MARK} words of upstream", retry_after=0.01, partial=f"{MARK} half")
    system.perplexity.scripts.append(failed)
    await system.send("Hello", customer="c-9")

    assert MARK not in await history_of(system, "c-9")
    [kept] = await system.database.rows("SELECT explanation, text FROM raw_outputs WHERE failure IS NOT NULL")
    assert MARK in kept["explanation"]
    assert MARK in kept["text"]


async def test_a_threads_slug_stays_in_the_database(system: System) -> None:
    """Upstream makes it of the question's words."""
    system.perplexity.slug = f"{MARK}-question"
    for _ in range(2):
        await system.send(f"{MARK} question", customer="c-9")

    session = await system.session("c-9")
    state = await system.temporal.get_workflow_handle(session["workflow_id"]).query("workflow_state")
    assert MARK in session["thread"]["thread_url_slug"]
    assert MARK not in str(state)
    assert MARK not in await history_of(system, "c-9")


async def test_an_operators_reason_stays_in_the_database(system: System) -> None:
    await system.send("Hello", customer="c-9")
    body = {"state": "human_handoff", "reason": f"{MARK}: he shouts"}
    await system.http.post("/api/session/c-9/state", json=body)

    assert MARK not in await history_of(system, "c-9")
    assert (await system.session("c-9"))["handoff"]["reason"] == f"{MARK}: he shouts"


async def test_no_name_and_no_note_of_staff_stands_in_temporal(system: System) -> None:
    """Each route that takes one: an approval, a question, a state, a message, a reset, an outcome."""
    config = AssistantConfig(actions=AssistantActions(confirmations={"create_ticket": Confirmation.STAFF}))
    await system.services.configurations.apply("default", config, "test")
    system.perplexity.scripts.extend([output("create_ticket", subject=f"Lamp {n}", description="-") for n in range(2)])
    name, path = f"{MARK} Ann", "/api/session/c-9"
    for route in ("approval", "questions"):
        await system.send("My lamp broke", customer="c-9")
        [asked] = (await system.session("c-9"))["questions"]
        body = {"approved": route == "approval", "agent_name": name}
        body |= {"digest": asked["digest"]} if route == "approval" else {}
        place = f"{path}/questions/{asked['id']}" if route == "questions" else f"{path}/approval"
        (await system.http.post(place, json=body)).raise_for_status()
    await system.http.post(f"{path}/state", json={"state": "human_handoff", "reason": f"{MARK}: they shout"})
    await system.http.post(f"{path}/messages", json={"text": f"{MARK} here", "agent_name": name})
    await system.http.post(f"{path}/reset", json={})
    await system.database.rows("UPDATE effects SET status = 'unknown'")
    [effect] = await system.database.rows("SELECT id FROM effects")
    settled = {"outcome": "confirmed", "note": f"{MARK} looked"}
    (await system.http.post(f"/api/effects/{effect['id']}/resolve", json=settled)).raise_for_status()

    handle = system.temporal.get_workflow_handle((await system.session("c-9"))["workflow_id"])
    assert MARK not in await history_of(system, "c-9")
    assert MARK not in str((await handle.describe()).raw_description)
    decided = await system.database.rows("SELECT decided_by, status FROM actions ORDER BY created_at")
    assert [(row["decided_by"], row["status"]) for row in decided] == [(name, "accepted"), (name, "cancelled")]


def test_what_travels_through_temporal_has_no_place_for_free_text() -> None:
    """Every string of the wire is an id, a word of ours, or a digest."""
    models = [each for each in vars(conversations).values() if isinstance(each, type) and issubclass(each, BaseModel)]
    strings = {
        f"{model.__name__}.{name}"
        for model in models
        for name, field in model.model_fields.items()
        if model.__module__ == conversations.__name__ and str in (field.annotation, *get_args(field.annotation))
    }
    assert strings == {
        *("Thread.backend_uuid", "WorkflowState.ticket_id", "TurnOutcome.ticket_id"),
        *("ConversationStart.channel", "ConversationStart.assistant", "Apologize.failure", "ApprovalDecision.digest"),
    }


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("INSERT INTO customers (id, display_name) VALUES (NULL, :words)", StatementFailed),
        ("SELECT CAST(:words AS text)::uuid", StatementFailed),
        ("DO $do$ BEGIN RAISE EXCEPTION USING ERRCODE = '53100'; END $do$", StorageUnavailable),
    ],
)
async def test_no_error_of_the_database_quotes_a_value(system: System, statement: str, error: type[Exception]) -> None:
    values = {"words": f"{MARK} {uuid4()}"} if ":words" in statement else {}
    with pytest.raises(error) as raised:
        await system.database.rows(statement, values)

    failure = Failure()
    await pydantic_data_converter.encode_failure(raised.value, failure)
    shown = "".join(traceback.format_exception(raised.value))
    assert MARK not in shown
    assert MARK not in str(failure)


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 2), (2, 4), (3, 5), (2_000, 5)])
def test_a_database_that_is_away_is_looked_for_often(attempt: int, seconds: float) -> None:
    settings = Settings(_env_file=None, turn_retry_pause_seconds=2, database_retry_pause_seconds=5)  # type: ignore[call-arg]

    told = coming_again(StorageUnavailable("it is unavailable"), attempt, settings)

    assert told.next_retry_delay == timedelta(seconds=seconds)
    assert (told.type, told.non_retryable) == ("StorageUnavailable", False)


async def test_a_defect_in_an_activity_tells_its_place_and_no_value(lines: list[Any]) -> None:
    try:
        StoredThing.model_validate({"number": f"{MARK} words"})
    except ValueError as error:
        told = without_words(error)

    assert MARK not in str(told)
    assert MARK not in str(lines)
    assert told.type == "ValidationError"
    assert "test_no_words.py" in str(lines)


class StoredThing(BaseModel):
    number: int
