"""What comes in while a run is about to end: nothing of it is lost, and nobody is left who waits."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowUpdateStage

from schemas.conversations import Limits, MessageStored, StateRequest, WorkflowState
from schemas.standing import Owner
from schemas.turns import State
from tests.support.waiting import until, within
from tests.workflow.conftest import Lab
from tests.workflow.drawing import Driver

ACCEPTED = WorkflowUpdateStage.ACCEPTED


@pytest.fixture
async def ending(lab: Lab) -> Driver:
    """A run that reads for the last time whether somebody waits for something; its answer is held back."""
    driver = lab.driver(Limits(idle_end=timedelta(milliseconds=100)))
    world = driver.world
    world.close("model")  # while it answers it may not be idle, however slow this machine is
    await driver.do("message")
    await until("the first look", lambda: world.looks)
    world.close("reads")
    world.open("model")
    await driver.until_answered(1)
    await driver.until_delivered()
    await until("a look that is held back", lambda: world.held["reads"], bool)
    return driver


async def test_a_take_over_keeps_the_run(ending: Driver) -> None:
    """Asked for before the last look is over, written after it."""
    world, handle = ending.world, ending.handle
    world.close("writes")
    update = await handle.start_update("set_state", StateRequest(state=State.HUMAN_HANDOFF), wait_for_stage=ACCEPTED)
    looks = world.looks
    world.open("reads")
    await until("the last look", lambda: world.looks, lambda seen: seen > looks)

    world.open("writes")
    await within("the update", update.result(), lambda: world)

    async def state() -> tuple[WorkflowExecutionStatus | None, Owner]:
        current = WorkflowState.model_validate(await handle.query("workflow_state"))
        return (await handle.describe()).status, current.standing.owner

    goes_on = (WorkflowExecutionStatus.RUNNING, Owner.HUMAN)
    await until("a run that goes on under a person", state, lambda seen: seen == goes_on)


async def test_a_message_is_answered(ending: Driver) -> None:
    await ending.do("message")
    ending.world.open("reads")

    await ending.until_answered(2)


async def test_a_caller_gets_an_answer(ending: Driver) -> None:
    ending.world.stored += 1
    answering = asyncio.create_task(ending.handle.execute_update("await_reply", MessageStored(seq=2)))
    ending.world.open("reads")

    answered = await within("the answer", answering, lambda: ending.world)

    assert answered["cursor"] == 2


async def test_a_reply_is_sent(ending: Driver) -> None:
    ending.world.due += 1
    await ending.do("delivery")
    ending.world.open("reads")

    await ending.until_delivered()


async def test_a_change_is_read(ending: Driver) -> None:
    await ending.do("told human")
    looks = ending.world.looks
    ending.world.open("reads")

    await until("two more looks", lambda: ending.world.looks, lambda seen: seen >= looks + 2)
    assert (await ending.handle.describe()).status is WorkflowExecutionStatus.RUNNING
