"""The workflow's real code against drawn signals, updates, outcomes of activities and continue-as-new.

What is drawn hits a run at any moment of it, also between two runs. Seeds are fixed; a failing one prints its plan.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, get_args
from uuid import UUID

import pytest_asyncio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from temporalio.api.enums.v1 import EventType
from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowHistory,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer, Worker

from schemas.conversations import (
    ConversationStart,
    Decision,
    Limits,
    MessageStored,
    Recalled,
    ResetRequest,
    SessionChanged,
    StateRequest,
)
from schemas.standing import Owner, Standing
from schemas.turns import State
from tests.support.clock import now
from tests.support.waiting import until, within
from tests.workflow.scripted import Scripted, World
from worker.app import SANDBOX
from workflows.conversation import Conversation

QUEUE = "drawn"
IDLE_SECONDS = 0.15
AT_ONCE = 5
"""So many conversations are run beside each other."""

ENDS = {"CONTINUED_AS_NEW", "COMPLETED", "CANCELED"}
DOES = {"answer", "apologize", "perform", "decide", "deliver", "recall", "expire", "set_state", "reset", "stop"} | {
    "fetch",
    "hand_over",
}
"""What the drawn runs, together, come to."""

Act = Literal[
    "message",
    "message and wait",
    "lost message",
    "photo",
    "delivery",
    "human",
    "release",
    "approval asked",
    "ticket",
    "told human",
    "told release",
    "reset",
    "decide",
    "model hangs",
    "model answers",
    "channel hangs",
    "channel answers",
    "pause",
    "long pause",
]


@dataclass(frozen=True)
class Plan:
    """What happens to one conversation."""

    acts: list[Act]
    turns: list[str]
    sends: list[str]
    pushes: bool
    quiet_ms: int
    slow_ms: int
    turns_in_run: int
    merged: bool
    cancelled: bool


ACTS = st.lists(st.sampled_from(get_args(Act)), min_size=3, max_size=14)
TURNS = st.lists(
    st.sampled_from(["text", "wait", "repair", "action", "retried", "fails", "gives up", "without an action"]),
    max_size=6,
)
PLANS = st.builds(
    Plan,
    acts=ACTS,
    turns=TURNS,
    sends=st.lists(st.sampled_from(["sent", "fails", "retried"]), max_size=4),
    pushes=st.booleans(),
    quiet_ms=st.sampled_from([0, 30]),
    slow_ms=st.sampled_from([0, 60]),
    turns_in_run=st.sampled_from([1, 2, 100]),
    merged=st.sampled_from([False, False, True]),
    cancelled=st.sampled_from([False, False, True]),
)


def limits_of(plan: Plan) -> Limits:
    quick, ample = timedelta(milliseconds=20), timedelta(seconds=20)
    return Limits(
        idle_end=timedelta(seconds=IDLE_SECONDS),
        quiet=timedelta(milliseconds=plan.quiet_ms),
        quiet_cap=timedelta(milliseconds=90),
        turn_timeout=ample,
        turn_heartbeat=ample,
        turn_retry_pause=quick,
        turn_retry_pause_max=quick,
        turn_give_up=ample,
        record_timeout=ample,
        action_timeout=ample,
        delivery_timeout=ample,
        delivery_give_up=ample,
        delivery_pause=quick,
        continue_as_new_turns=plan.turns_in_run,
        continue_as_new_events=150,
    )


class Driver:
    """Plays the API, the sweep and operators for one conversation."""

    def __init__(self, client: Client, world: World) -> None:
        self.world = world
        self.client = client
        self._waiting: list[asyncio.Task[Any]] = []
        self.heard = 0
        """The newest message that the workflow was told of."""

    @property
    def handle(self) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(f"drawn/{self.world.id}")

    async def do(self, act: Act) -> None:
        world = self.world
        match act:
            case "message":
                world.stored += 1
                await self.wake()
            case "message and wait":
                world.stored += 1
                self.heard = world.stored
                await self._update("say", MessageStored(seq=world.stored))
            case "lost message":
                world.stored += 1
            case "photo":
                world.stored += 1
                world.files += 1
                self.heard = world.stored
                await self._signal("message_stored", MessageStored(seq=world.stored, files=True))
            case "delivery":
                await self._signal("delivery_due")
            case "human":
                await self._update("set_state", StateRequest(state=State.HUMAN_HANDOFF))
            case "release":
                await self._update("set_state", StateRequest(state=State.BOT))
            case "reset":
                await self._update("reset", ResetRequest())
            case "decide":
                await self._update("decide", Decision(digest="d", approved=True, decided_by="Ann"))
            case "approval asked":
                world.change(approvals=1, next_deadline=now() + timedelta(milliseconds=40))
                await self._signal("standing_changed")
            case "ticket":
                world.change(tickets=("T-1",))
                await self._signal("standing_changed")
            case "told human":
                world.change(owner=Owner.HUMAN)
                await self._signal("standing_changed")
            case "told release":
                world.change(owner=Owner.BOT)
                await self._signal("standing_changed")
            case "model hangs":
                world.model.clear()
            case "model answers":
                world.model.set()
            case "channel hangs":
                world.channel.clear()
            case "channel answers":
                world.channel.set()
            case "pause":
                await asyncio.sleep(0.03)
            case "long pause":
                await asyncio.sleep(IDLE_SECONDS)

    async def wake(self) -> None:
        """As webhooks and the sweep do."""
        self.heard = self.world.stored
        await self._signal("message_stored", MessageStored(seq=self.world.stored))

    async def merged(self) -> None:
        """The customer turned out to be another one; somebody still waits, and a late status comes."""
        told_of = self.world.stored
        self.world.merge()
        self.heard = min(self.heard, self.world.stored)
        await self._update("say", MessageStored(seq=told_of or 1))
        await self._signal("standing_changed")
        await self._signal("delivery_due")

    async def told_nothing_is_open(self) -> None:
        self.world.change(owner=Owner.BOT, approvals=0, tickets=(), next_deadline=None)
        await self._signal("standing_changed")

    async def until_answered(self, seq: int) -> None:
        await until(f"an answer to message {seq}", lambda: self.world, lambda world: world.cursor >= seq)

    async def until_delivered(self) -> None:
        await until("no due reply", lambda: self.world, lambda world: world.due == 0)

    async def until_nobody_waits(self) -> None:
        """Updates end, one way or another: nobody waits for ever."""
        ends = asyncio.gather(*self._waiting, return_exceptions=True)
        await within("the end of all updates", ends, lambda: self.world)

    async def _signal(self, name: str, *arguments: Any) -> None:
        start = {"start_signal": name, "start_signal_args": list(arguments)}
        await self.client.start_workflow("Conversation", self._start(), **self._options(), **start)

    async def _update(self, name: str, argument: Any) -> None:
        operation = WithStartWorkflowOperation("Conversation", self._start(), **self._options())
        call = self.client.execute_update_with_start_workflow(name, argument, start_workflow_operation=operation)
        self._waiting.append(asyncio.create_task(call))
        await asyncio.sleep(0)  # on its way, beside what comes next

    def _start(self) -> ConversationStart:
        return ConversationStart(conversation_id=self.world.id, limits=self.world.limits)

    def _options(self) -> dict[str, Any]:
        use = WorkflowIDConflictPolicy.USE_EXISTING
        return {"id": self.handle.id, "task_queue": QUEUE, "id_conflict_policy": use}


@dataclass
class Lab:
    client: Client
    worlds: dict[UUID, World]
    reached: set[str] = field(default_factory=set)

    def driver(self, plan: Plan) -> Driver:
        world = World(limits_of(plan), plan.pushes, plan.slow_ms / 1_000)
        world.turns.extend(plan.turns)
        world.sends.extend(plan.sends)
        world.model.set()
        world.channel.set()
        self.worlds[world.id] = world
        return Driver(self.client, world)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lab(temporal_address: str) -> AsyncIterator[Lab]:
    """One worker for all drawn conversations, with scripted activities."""
    client = await Client.connect(temporal_address, data_converter=pydantic_data_converter)
    lab = Lab(client, {})
    brief = timedelta(milliseconds=100)
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[Conversation],
        activities=Scripted(lab.worlds).activities,
        workflow_runner=SANDBOX,
        max_heartbeat_throttle_interval=brief,
        default_heartbeat_throttle_interval=brief,
    ):
        yield lab
    assert lab.reached >= ENDS | DOES, "the draw no longer reaches all that it should"


async def play(lab: Lab, plan: Plan) -> None:
    try:
        await play_out(lab, plan)
    except Exception as error:
        error.add_note(f"drawn: {plan}")
        raise


async def play_out(lab: Lab, plan: Plan) -> None:
    driver = lab.driver(plan)
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
    await driver.wake()  # so that there is a run
    await driver.handle.cancel()
    run = driver.client.get_workflow_handle(driver.handle.id, run_id=(await driver.handle.describe()).run_id)
    closed = await until("the run's end", run.describe, lambda seen: seen.status is not _RUNNING)
    if closed.status is WorkflowExecutionStatus.CANCELED:
        assert driver.world.stopped
        assert not driver.world.under_way[closed.run_id, "deliver"]


async def everything_comes_to_an_end(driver: Driver, plan: Plan) -> None:
    """What was told is answered without further help; what got lost, or was given up, with the sweep's."""
    world = driver.world
    world.model.set()
    world.channel.set()
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
        assert "COMPLETED" not in kinds or not last_read(history).keeps_the_run
        lab.reached |= kinds & ENDS
        lab.reached |= {event.activity_task_scheduled_event_attributes.activity_type.name for event in history.events}


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
            standing = (result.memory if isinstance(result, Recalled) else result).standing if told else standing
    return standing


READS: dict[str, type[Recalled | SessionChanged]] = {"recall": Recalled, "set_state": SessionChanged}
_RUNNING = WorkflowExecutionStatus.RUNNING


@settings(
    max_examples=6,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(plans=st.lists(PLANS, min_size=AT_ONCE, max_size=AT_ONCE))
async def test_drawn_conversations(lab: Lab, plans: list[Plan]) -> None:
    async with asyncio.TaskGroup() as group:
        for plan in plans:
            group.create_task(play(lab, plan))
