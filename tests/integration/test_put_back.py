"""A database that was put back to an earlier day: the workflows that know more than it lose no message for that."""

from __future__ import annotations

from temporalio.client import WorkflowExecutionStatus

from tests.system_in_process import System


async def put_back(system: System) -> None:
    """The database as it was after the first message of c-1."""
    later = "(SELECT id FROM turns WHERE first_seq > 1)"
    await system.database.rows(f"DELETE FROM raw_outputs WHERE turn_id IN {later}")
    await system.database.rows(f"DELETE FROM messages WHERE turn_id IN {later} OR seq > 1")
    await system.database.rows("DELETE FROM turns WHERE first_seq > 1")
    await system.database.rows("UPDATE conversations SET cursor = 1, newest_seq = 1, turns = 1")


async def test_a_message_after_it_is_answered(system: System) -> None:
    for text in ("one", "two", "three"):
        await system.send(text)
    await put_back(system)

    answers = [await system.send(text, message_id=text) for text in ("four", "five")]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert [answer.json()["reply"]["text"] for answer in answers] == ["You said: four", "You said: five"]


async def test_every_conversation_that_runs_can_be_made_to_begin_anew(system: System) -> None:
    await system.send("Hello", customer="c-put-back")
    session = await system.session("c-put-back")
    handle = system.temporal.get_workflow_handle(session["workflow_id"])

    await system.services.conversations.forget(session["workflow_id"], "a test")
    await system.services.conversations.forget(session["workflow_id"], "a test")

    assert (await handle.describe()).status is WorkflowExecutionStatus.TERMINATED
    assert (await system.send("Again", customer="c-put-back")).status_code == 200
