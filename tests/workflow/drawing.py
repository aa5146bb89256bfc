"""What is drawn for one conversation, and who does it: the API, the sweep and operators, played by a driver."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, get_args

from hypothesis import strategies as st
from temporalio.client import Client, WithStartWorkflowOperation, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy

from schemas.conversations import (
    ApprovalDecision,
    ConversationStart,
    Limits,
    MessageStored,
    ResetRequest,
    StateRequest,
)
from schemas.standing import Owner
from schemas.turns import State
from tests.support.waiting import until, within
from tests.workflow.scripted import GATES, ScriptedWorld

QUEUE = f"drawn-{os.getpid()}"
"""Of this process: others at the same server have workers of their own, which know nothing of its worlds."""
IDLE_SECONDS = 0.15

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
    "resolve_approval",
    "model hangs",
    "channel hangs",
    "reads hang",
    "writes hang",
    "all goes on",
    "pause",
    "long pause",
]


@dataclass(frozen=True)
class DrawnPlan:
    """What happens to one conversation."""

    acts: list[Act]
    turns: list[str]
    sends: list[str]
    pushes: bool
    quiet_ms: int
    turns_in_run: int
    merged: bool
    cancelled: bool


MOSTLY: list[Act] = ["message", "message", "message and wait", "delivery", "resolve_approval"]
ACTS = st.lists(st.sampled_from([*get_args(Act), *MOSTLY]), min_size=6, max_size=16)
TURNS = st.lists(
    st.sampled_from(
        ["text", "wait", "repair", "action", "action", "retried", "fails", "fails", "gives up", "without an action"]
    ),
    min_size=1,
    max_size=6,
)
PLANS = st.builds(
    DrawnPlan,
    acts=ACTS,
    turns=TURNS,
    sends=st.lists(st.sampled_from(["sent", "fails", "retried"]), max_size=4),
    pushes=st.booleans(),
    quiet_ms=st.sampled_from([0, 30]),
    turns_in_run=st.sampled_from([1, 2, 100]),
    merged=st.sampled_from([False, False, True]),
    cancelled=st.sampled_from([False, False, True]),
)


def limits_of(plan: DrawnPlan) -> Limits:
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
        database_activity_timeout=ample,
        action_timeout=ample,
        delivery_timeout=ample,
        delivery_give_up=ample,
        delivery_pause=quick,
        continue_as_new_turns=plan.turns_in_run,
        continue_as_new_events=150,
    )


class Driver:
    """Plays the API, the sweep and operators for one conversation."""

    def __init__(self, client: Client, world: ScriptedWorld) -> None:
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
                await self._update("await_reply", MessageStored(seq=world.stored))
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
            case "resolve_approval":
                await self._update("resolve_approval", ApprovalDecision(digest="d", approved=True))
            case "approval asked":
                world.change(approvals=1, seconds_left=0.04)
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
            case "model hangs" | "channel hangs" | "reads hang" | "writes hang":
                world.close(act.split()[0])
            case "all goes on":
                world.open(*GATES)
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
        signalled_seq = self.world.stored
        self.world.merge()
        self.heard = min(self.heard, self.world.stored)
        await self._update("await_reply", MessageStored(seq=signalled_seq or 1))
        await self._signal("standing_changed")
        await self._signal("delivery_due")

    async def told_nothing_is_open(self) -> None:
        self.world.change(owner=Owner.BOT, approvals=0, tickets=(), seconds_left=None)
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
