"""A conversation over a long time: it rests, starts over, continues as new, and is woken when a wake-up was lost."""

from __future__ import annotations

import asyncio

from temporalio.client import WorkflowExecutionStatus
from temporalio.testing import ActivityEnvironment

from integrations.perplexity.double import words
from tests.incoming import incoming
from tests.support import clock
from tests.support.waiting import within
from tests.system_in_process import System, running_system
from worker.app import create_activities


async def test_a_new_thread_after_reset_and_the_old_one_on_record(system: System) -> None:
    old = (await system.send("Hello")).json()["thread"]

    session = (await system.http.post("/api/session/c-1/reset", json={"new_thread": True})).json()
    new = (await system.send("Hello again")).json()["thread"]
    threads = (await system.http.get("/api/session/c-1/thread")).json()

    assert session["thread"]["frontend_context_uuid"] is None
    assert system.perplexity.prompts[-1].backend_uuid is None
    assert threads["frontend_context_uuid"] == new["frontend_context_uuid"] != old["frontend_context_uuid"]
    assert [each["backend_uuid"] for each in threads["history"]] == [new["backend_uuid"], old["backend_uuid"]]


async def test_reset_without_a_new_thread_keeps_it(system: System) -> None:
    old = (await system.send("Hello")).json()["thread"]

    await system.http.post("/api/session/c-1/reset", json={"new_thread": False})
    await system.send("Hello again")

    assert system.perplexity.prompts[-1].backend_uuid == old["backend_uuid"]


async def test_it_ends_when_idle_and_goes_on_with_the_same_thread(postgres_url: str, temporal_address: str) -> None:
    async with running_system(postgres_url, temporal_address, idle_end_seconds=0.5) as system:
        before = (await system.send("Hello")).json()["thread"]
        handle = system.temporal.get_workflow_handle((await system.session())["workflow_id"])
        await within("the idle conversation's end", handle.result(), lambda: handle)

        after = (await system.send("Hello again")).json()

        assert (await handle.describe()).status is not WorkflowExecutionStatus.FAILED
        assert after["thread"]["frontend_context_uuid"] == before["frontend_context_uuid"]
        assert system.perplexity.prompts[-1].backend_uuid == before["backend_uuid"]


async def test_nothing_is_lost_across_continue_as_new(postgres_url: str, temporal_address: str) -> None:
    async with running_system(postgres_url, temporal_address, continue_as_new_turns=3) as system:
        first_run = None
        for number in range(10):
            turn = (await system.send(f"message {number}")).json()
            assert turn["reply"]["text"] == f"You said: message {number}"
            first_run = first_run or (await system.session())["run_id"]
        session = await system.session()

    assert session["run_id"] != first_run
    assert session["turns"] == 10
    assert len({question.frontend_context_uuid for question in system.perplexity.prompts}) == 1


async def test_concurrent_messages_are_answered_across_continue_as_new(
    postgres_url: str, temporal_address: str
) -> None:
    settings = {"continue_as_new_turns": 1, "join_waiting_messages": False}
    async with running_system(postgres_url, temporal_address, **settings) as system:
        sent = await asyncio.gather(*(system.send(f"message {number}") for number in range(12)))

    assert sorted(each.json()["reply"]["text"] for each in sent) == sorted(f"You said: message {n}" for n in range(12))
    assert len(system.perplexity.prompts) == 12


async def test_what_comes_while_the_model_is_busy_is_joined(system: System) -> None:
    system.perplexity.gate.clear()
    first = asyncio.create_task(system.send("one"))
    await system.until_asked(1)
    rest = [asyncio.create_task(system.send(text)) for text in ("two", "three")]
    await system.until_waiting(3)
    system.perplexity.gate.set()

    turns = [(await each).json() for each in (first, *rest)]

    assert len(system.perplexity.prompts) == 2
    assert sorted(words(system.perplexity.prompts[1]).split("\n\n")) == ["three", "two"]
    assert turns[1]["turn_id"] == turns[2]["turn_id"] != turns[0]["turn_id"]


async def test_what_was_stored_and_never_woken_is_swept(postgres_url: str, temporal_address: str) -> None:
    async with running_system(postgres_url, temporal_address, sweep_after_seconds=0.001) as system:
        stored = await system.services.inbox.store(incoming("Forgotten", 1))
        sweeping = create_activities(
            system.temporal, system.database, system.outside, system.settings, now=clock.now
        ).sweep

        swept = await ActivityEnvironment().run(sweeping.sweep)
        await system.until_asked(1)
        answer = await system.send("Forgotten", message_id="m-1")

        assert swept.woken == 1
        assert answer.json()["conversation_id"] == str(stored.conversation_id)
        assert len(system.perplexity.prompts) == 1


async def test_ten_first_messages_at_once_make_one_customer(system: System) -> None:
    stored = await asyncio.gather(*(system.services.inbox.store(incoming(f"{n}", n)) for n in range(10)))

    rows = await system.database.rows("SELECT count(*) AS customers FROM customers")
    assert rows[0]["customers"] == 1
    assert sorted(message.seq for message in stored) == list(range(1, 11))
    assert len({message.conversation_id for message in stored}) == 1


async def test_operators_see_state_channel_assistant_and_verdict(system: System) -> None:
    await system.send("Hello")
    handle = system.temporal.get_workflow_handle((await system.session())["workflow_id"])

    description = await handle.describe()
    attributes = {pair.key.name: pair.value for pair in description.typed_search_attributes}

    assert attributes["ConversationState"] == "bot"
    assert attributes["Channel"] == "http"
    assert attributes["Assistant"] == "default"
    assert attributes["LastVerdict"] == "text"
    assert "conversation with assistant default" in (await description.static_summary() or "")
    summaries = [
        event.user_metadata.summary.data.decode()
        for event in (await handle.fetch_history()).events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    assert summaries == [
        '"Read what is stored"',
        '"Turn 1: ask Perplexity about what came after message 0"',
    ]
