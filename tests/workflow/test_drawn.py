"""The workflow's real code against drawn signals, updates, outcomes of activities and continue-as-new.

What is drawn hits a run at any moment of it, also between two runs. Seeds are fixed; a failing one tells its plan.
"""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionStatus, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from schemas.conversations import LoadedState, SessionChanged
from schemas.standing import Standing
from tests.support.waiting import until, within
from tests.workflow.conftest import Lab
from tests.workflow.drawing import PLANS, DrawnPlan, Driver, limits_of
from tests.workflow.scripted import GATES
from worker.app import SANDBOX
from workflows.conversation import Conversation

AT_ONCE = 5
"""So many conversations are run beside each other."""

ENDS = {"CONTINUED_AS_NEW", "COMPLETED", "CANCELED"}
DOES = {
    "answer",
    "apologize",
    "perform",
    "resolve_approval",
    "deliver",
    "load_state",
    "expire",
    "set_state",
    "reset",
    "stop",
} | {
    "fetch",
    "hand_over",
}
"""What drawn runs, together, come to."""


async def play(lab: Lab, plan: DrawnPlan) -> None:
    try:
        await play_out(lab, plan)
    except Exception as error:
        error.add_note(f"drawn: {plan}")
        raise


async def play_out(lab: Lab, plan: DrawnPlan) -> None:
    driver = lab.driver(limits_of(plan), pushes=plan.pushes)
    driver.world.turns.extend(plan.turns)
    driver.world.sends.extend(plan.sends)
    for act in plan.acts:
        await driver.do(act)
    if plan.merged:
        await driver.merged()
    if plan.cancelled:
        await cancelled_ends_cancelled(driver)
    await everything_comes_to_an_end(driver, plan)
    await every_run_replays(lab, driver)
    assert driver.world.wrong == []


async def cancelled_ends_cancelled(driver: Driver) -> None:
    driver.world.open("writes")  # what an operator asked for is written before the run ends
    await driver.wake()  # so that there is a run
    await driver.handle.cancel()
    run = driver.client.get_workflow_handle(driver.handle.id, run_id=(await driver.handle.describe()).run_id)
    closed = await until("the run's end", run.describe, lambda seen: seen.status is not _RUNNING)
    if closed.status is WorkflowExecutionStatus.CANCELED:
        assert driver.world.stopped
        assert not driver.world.under_way[closed.run_id, "deliver"]


async def everything_comes_to_an_end(driver: Driver, plan: DrawnPlan) -> None:
    """What was told is answered without further help; what got lost, or was given up, with the sweep's."""
    world = driver.world
    world.open(*GATES)
    if plan.cancelled or "gives up" in plan.turns or "without an action" in plan.turns:
        await swept(driver)
    await driver.until_answered(driver.heard)
    await swept(driver)
    await driver.until_answered(world.stored)
    await driver.until_delivered()
    await driver.until_nobody_waits()
    if world.merged:
        await until("a handing over", lambda: world, lambda world: world.handed_over)
    elif not plan.cancelled:  # else the sweep fetches them
        await until("no due file", lambda: world, lambda world: world.files == 0)
    if world.standing.keeps_the_run:
        await it_stays(driver)
        await driver.told_nothing_is_open()
    await within("the idle end", driver.handle.result(), lambda: world)


async def swept(driver: Driver) -> None:
    """As often as something is given up."""
    for _ in range(1 + len(driver.world.turns)):
        await driver.wake()
        await asyncio.sleep(0.01)


async def it_stays(driver: Driver) -> None:
    looks = driver.world.looks
    await until("two more looks", lambda: driver.world, lambda world: world.looks >= looks + 2)
    assert (await driver.handle.describe()).status is _RUNNING


async def every_run_replays(lab: Lab, driver: Driver) -> None:
    """And ended as it should: a cancelled one as nothing else."""
    replayer = Replayer(workflows=[Conversation], data_converter=pydantic_data_converter, workflow_runner=SANDBOX)
    runs = lab.client.list_workflows(f"WorkflowId = '{driver.handle.id}'")
    async for history in runs.map_histories():
        await replayer.replay_workflow(history)
        kinds = {
            EventType.Name(event.event_type).removeprefix("EVENT_TYPE_WORKFLOW_EXECUTION_") for event in history.events
        }
        assert ("CANCEL_REQUESTED" in kinds) == ("CANCELED" in kinds)
        assert begun_after_its_cancel(history) <= {"stop", "set_state", "reset", "resolve_approval"}
        assert "COMPLETED" not in kinds or not last_read(history).keeps_the_run
        lab.reached |= kinds & ENDS
        lab.reached |= {event.activity_task_scheduled_event_attributes.activity_type.name for event in history.events}


def begun_after_its_cancel(history: WorkflowHistory) -> set[str]:
    """The activities; what operators had asked for is still written."""
    begun, cancelled = set[str](), False
    for event in history.events:
        cancelled |= event.HasField("workflow_execution_cancel_requested_event_attributes")
        begun |= {event.activity_task_scheduled_event_attributes.activity_type.name} if cancelled else set()
    return begun - {""}


def last_read(history: WorkflowHistory) -> Standing:
    """How the conversation stood by all that the run was told; a change that it did not read keeps it, too."""
    standing, names = Standing(), dict[int, str]()
    for event in history.events:
        if event.workflow_execution_signaled_event_attributes.signal_name == "standing_changed":
            standing = Standing(approvals=1)
        elif name := event.activity_task_scheduled_event_attributes.activity_type.name:
            names[event.event_id] = name
        elif event.HasField("activity_task_completed_event_attributes"):
            done = event.activity_task_completed_event_attributes
            told = READS.get(names[done.scheduled_event_id])
            [result] = pydantic_data_converter.payload_converter.from_payloads(done.result.payloads, [told or object])
            standing = (
                (result.workflow_state if isinstance(result, LoadedState) else result).standing if told else standing
            )
    return standing


READS: dict[str, type[LoadedState | SessionChanged]] = {"load_state": LoadedState, "set_state": SessionChanged}
_RUNNING = WorkflowExecutionStatus.RUNNING


ALIKE = settings(
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],  # a failing example is seconds long: it is told as it was drawn
    suppress_health_check=list(HealthCheck),
)
PLANS_AT_ONCE = st.lists(PLANS, min_size=AT_ONCE, max_size=AT_ONCE)


@settings(ALIKE, max_examples=6)
@given(plans=PLANS_AT_ONCE)
async def test_thirty_drawn_conversations(lab: Lab, plans: list[DrawnPlan]) -> None:
    await play_all(lab, plans)


@pytest.mark.chaos
@pytest.mark.timeout(1_800)
@settings(ALIKE, max_examples=60)
@given(plans=PLANS_AT_ONCE)
async def test_three_hundred_drawn_conversations(lab: Lab, plans: list[DrawnPlan]) -> None:
    await play_all(lab, plans)


@pytest.mark.chaos
async def test_what_was_drawn_comes_to_all_that_it_should(lab: Lab) -> None:
    """After the three hundred: what meets is the machine's to decide, so a few runs may miss one of them."""
    assert lab.reached >= ENDS | DOES


async def play_all(lab: Lab, plans: list[DrawnPlan]) -> None:
    async with asyncio.TaskGroup() as group:
        for plan in plans:
            group.create_task(play(lab, plan))
