"""A conversation's database, model and channel in memory, as its workflow meets them: activities of the same names.

Each fails and hesitates as it is told to, and notes what must not happen: two answers or two deliveries of one run at
once, or a decision beside an answer.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NoReturn
from uuid import UUID, uuid4

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.heartbeat import beating
from schemas.conversations import (
    Apologize,
    ApprovalDecision,
    ConversationStart,
    Deliver,
    Delivered,
    Expire,
    FetchFiles,
    HandOver,
    Limits,
    LoadedState,
    NextStep,
    Perform,
    ResetRequest,
    SessionChanged,
    StateRequest,
    Stop,
    TurnOutcome,
    TurnRequest,
    WorkflowState,
)
from schemas.failures import ModelFailureKind
from schemas.standing import Owner, Standing
from schemas.turns import State, Verdict
from tests.support.waiting import within

_OWNERS = {State.BOT: Owner.BOT, State.HUMAN_HANDOFF: Owner.HUMAN, State.CLOSED: Owner.CLOSED}
GATES = ("model", "channel", "reads", "writes")
_BEAT_SECONDS = 0.05
_TAKES_SECONDS = 0.02
"""What all that is done outside takes at least, so that things meet."""
_ALONE = ({"answer", "perform", "apologize", "resolve_approval", "hand_over"}, {"deliver"}, {"fetch"})
"""Of each, at most one is under way in a run."""
_NOT_OF_A_MERGED = {"deliver", "fetch", "expire"}
"""What a run begins no more once it knows."""


@dataclass
class ScriptedWorld:
    """What one conversation's activities read and write."""

    limits: Limits
    pushes: bool
    """Replies go out over a channel."""
    id: UUID = field(default_factory=uuid4)
    stored: int = 0
    cursor: int = 0
    standing: Standing = field(default_factory=Standing)
    due: int = 0
    files: int = 0
    merged: bool = False
    told_merged: dict[str, datetime] = field(default_factory=dict)
    """Of each run that read that it is merged: when it began to read. Nothing is asked for beside a reading; what was
    asked for before may come later, or be tried again."""
    handed_over: int = 0
    turns: deque[str] = field(default_factory=deque)
    """What becomes of the next steps of turns; then each is answered."""
    sends: deque[str] = field(default_factory=deque)
    under_way: Counter[tuple[str, str]] = field(default_factory=Counter)
    looks: int = 0
    stopped: bool = False
    wrong: list[str] = field(default_factory=list)
    held: Counter[str] = field(default_factory=Counter)
    """How many wait at each gate."""
    gates: dict[str, asyncio.Event] = field(default_factory=lambda: {name: asyncio.Event() for name in GATES})
    """What is closed hangs."""

    def __post_init__(self) -> None:
        self.open(*GATES)

    def open(self, *gates: str) -> None:
        for gate in gates:
            self.gates[gate].set()

    def close(self, *gates: str) -> None:
        for gate in gates:
            self.gates[gate].clear()

    def change(self, **facts: Any) -> Standing:
        """Who has the conversation, or what is open, is another from now on; of a merged one no more."""
        if self.merged:
            return self.standing
        facts = {"version": self.standing.version + 1, **facts}
        self.standing = self.standing.model_copy(update=facts)
        return self.standing

    def merge(self) -> None:
        """All moves to another conversation, but for a turn whose effect is under way."""
        if not any(count for (_run, name), count in self.under_way.items() if name == "perform"):
            self.stored = self.cursor
        self.due = self.files = 0
        self.change(owner=Owner.CLOSED, approvals=0, tickets=(), seconds_left=None)
        self.merged = True

    def changed(self) -> SessionChanged:
        return SessionChanged(state=self.standing.state, standing=self.seen, needs_delivery=self.due > 0)

    @property
    def seen(self) -> Standing:
        return self.standing.model_copy(update={"deliveries": self.due})

    def answer(self, asked: int, verdict: Verdict | None = Verdict.TEXT) -> TurnOutcome:
        """The turn after *asked*, finished now or before."""
        if asked == self.cursor and self.stored > self.cursor:
            self.cursor = self.stored
            self.due += self.pushes and self.standing.owner is not Owner.HUMAN
        if asked == self.cursor:
            return TurnOutcome(cursor=asked)
        return TurnOutcome(
            cursor=self.cursor,
            turn_id=uuid4(),
            verdict=verdict,
            state=self.standing.state,
            standing=self.seen if self.cursor % 2 else None,
            needs_delivery=self.due > 0,
        )

    @asynccontextmanager
    async def doing(self, name: str, gate: str | None = None) -> AsyncIterator[None]:
        run = activity.info().workflow_run_id or ""
        self.under_way[run, name] += 1
        told = self.told_merged.get(run)
        if told is not None and activity.info().scheduled_time > told and name in _NOT_OF_A_MERGED:
            self.wrong.append(f"{name} of a merged conversation")
        for alone in _ALONE:
            if sum(self.under_way[run, each] for each in alone) > 1:
                self.wrong.append(f"{name} beside one of {alone}")
        try:
            async with beating(activity.heartbeat, _BEAT_SECONDS):
                if gate is not None and not self.gates[gate].is_set():
                    self.held[gate] += 1
                    await within("an open gate", self.gates[gate].wait(), lambda: self)
                    self.held[gate] -= 1
                await asyncio.sleep(_TAKES_SECONDS)
                yield
        finally:
            self.under_way[run, name] -= 1


class Scripted:
    """The activities of all *worlds*, by the ids of their conversations."""

    def __init__(self, worlds: dict[UUID, ScriptedWorld]) -> None:
        self._worlds = worlds
        self._planned = dict[UUID, TurnRequest]()
        """By the action that its turn plans."""

    @property
    def activities(self) -> list[Any]:
        reads = [self.load_state, self.set_state, self.reset, self.stop, self.expire]
        return [
            self.answer,
            self.apologize,
            self.perform,
            self.resolve_approval,
            self.deliver,
            self.fetch,
            self.hand_over,
            *reads,
        ]

    @activity.defn
    async def answer(self, request: TurnRequest) -> TurnOutcome:
        world = self._worlds[request.conversation_id]
        async with world.doing("answer", "model"):
            match world.turns.popleft() if world.turns else "text":
                case "wait":
                    return TurnOutcome(cursor=request.cursor, step=NextStep.WAIT, wait=timedelta(milliseconds=20))
                case "repair":
                    return TurnOutcome(cursor=request.cursor, turn_id=uuid4(), step=NextStep.REPAIR)
                case "action":
                    self._planned[action_id := uuid4()] = request
                    return TurnOutcome(
                        cursor=request.cursor, turn_id=uuid4(), step=NextStep.PERFORM, action_id=action_id
                    )
                case "without an action":
                    return TurnOutcome(cursor=request.cursor, turn_id=uuid4(), step=NextStep.PERFORM)
                case "retried":
                    raise ApplicationError("once more", type=ModelFailureKind.CUT)
                case "fails":
                    _fail(ModelFailureKind.ACCOUNT)
                case "gives up":
                    world.turns.appendleft("no apology")
                    _fail(ModelFailureKind.ACCOUNT)
            return world.answer(request.cursor)

    @activity.defn
    async def apologize(self, request: Apologize) -> TurnOutcome:
        world = self._worlds[request.conversation_id]
        async with world.doing("apologize"):
            if world.turns and world.turns[0] == "no apology":
                world.turns.popleft()
                _fail("Unavailable")
            return world.answer(request.cursor, verdict=None)

    @activity.defn
    async def perform(self, request: Perform) -> TurnOutcome:
        asked = self._planned[request.action_id]
        world = self._worlds[asked.conversation_id]
        async with world.doing("perform", "model"):
            world.change(tickets=(*world.standing.tickets, f"T-{asked.cursor}"), version=world.standing.version)
            return world.answer(asked.cursor, Verdict.ACTION)

    @activity.defn
    async def resolve_approval(self, decision: ApprovalDecision) -> SessionChanged:
        world = self._worlds[_id(decision.conversation_id)]
        async with world.doing("resolve_approval"):
            world.change(approvals=0, seconds_left=None, version=world.standing.version)
            return SessionChanged(state=world.standing.state)

    @activity.defn
    async def deliver(self, request: Deliver) -> Delivered:
        world = self._worlds[request.conversation_id]
        async with world.doing("deliver", "channel"):
            match world.sends.popleft() if world.sends else "sent":
                case "fails":
                    _fail("Unavailable")
                case "retried":
                    raise ApplicationError("once more", type="Unsettled")
            sent, world.due = world.due, 0
            return Delivered(parts=sent)

    @activity.defn
    async def fetch(self, request: FetchFiles) -> None:
        world = self._worlds[request.conversation_id]
        async with world.doing("fetch", "channel"):
            world.files = 0

    @activity.defn
    async def hand_over(self, request: HandOver) -> None:
        world = self._worlds[request.conversation_id]
        async with world.doing("hand_over", "writes"):
            world.handed_over += 1
            world.due = 0

    @activity.defn
    async def load_state(self, start: ConversationStart) -> LoadedState:
        """Tells of no message after the cursor, as the database would: those are the workflow's to carry on."""
        world = self._worlds[start.conversation_id]
        async with world.doing("load_state", "reads"):
            world.looks += 1
            if world.merged:
                world.told_merged.setdefault(activity.info().workflow_run_id or "", activity.info().started_time)
            seen = {"state": world.standing.state, "standing": world.seen, "merged": world.merged}
            newest = world.stored if world.merged else world.cursor
            current = WorkflowState(cursor=world.cursor, newest_seq=newest, **seen)
            return LoadedState(workflow_state=current, limits=world.limits)

    @activity.defn
    async def expire(self, request: Expire) -> SessionChanged:
        world = self._worlds[request.conversation_id]
        async with world.doing("expire"):
            world.change(approvals=0, seconds_left=None, version=world.standing.version)
            world.due += world.pushes and not world.merged
            return world.changed()

    @activity.defn
    async def set_state(self, request: StateRequest) -> SessionChanged:
        world = self._worlds[_id(request.conversation_id)]
        async with world.doing("set_state", "writes"):
            world.change(owner=_OWNERS[request.state])
            return world.changed()

    @activity.defn
    async def reset(self, request: ResetRequest) -> SessionChanged:
        world = self._worlds[_id(request.conversation_id)]
        async with world.doing("reset", "writes"):
            world.change(owner=Owner.BOT, approvals=0, seconds_left=None)
            return world.changed()

    @activity.defn
    async def stop(self, request: Stop) -> None:
        self._worlds[request.conversation_id].stopped = True


def _id(conversation_id: UUID | None) -> UUID:
    assert conversation_id is not None
    return conversation_id


def _fail(kind: str) -> NoReturn:
    raise ApplicationError("for good", type=kind, non_retryable=True)
