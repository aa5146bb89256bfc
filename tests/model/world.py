"""All there is in one example: two customers, the core's activities, the outside, and who drives what."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast
from uuid import UUID

from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from config.clock import Clock
from config.settings import Settings
from integrations.whatsapp.channel import only
from integrations.whatsapp.port import ProviderLimits
from schemas.assistants import Texts
from schemas.conversations import ApprovalDecision
from schemas.deliveries import read_delivery_id
from schemas.messages import ChannelMessage, CustomerIdentity
from storage.configurations import Configurations
from tests.model import inside
from tests.model.configurations import KEYS, Configured, configuration
from tests.model.database import ModelDatabase
from tests.model.driver import DrivenRun, GivenUp
from tests.model.events import DrawnEvent
from tests.model.outside import ModelEndpoints, ModelPerplexity, ModelTemporal, ModelWhatsApp
from tests.model.phases import Phase
from tests.model.stops import Actor, Lost, Stopped, Stops
from tests.model.virtual_loop import VirtualLoop
from tests.support import clock
from worker.app import Activities, Outside, create_activities

T = TypeVar("T")

STEP_SECONDS = 1
"""What each stop takes: more than the machine ever needs for a statement, so that its haste decides no order."""
SWEEP_SECONDS = 60
_MOST_STOPS = 700
"""Of an example's rest; who needs more never comes to rest."""

SETTINGS: dict[str, Any] = {
    "turn_heartbeat_seconds": 900.0,
    "quiet_seconds": 0.0,
    "still_working_seconds": 60.5,
    "newer_message_poll_seconds": 10.0,
    "restart_within_seconds": 15.0,
    "perplexity_account_calls_in_flight": 1,
    "perplexity_account_calls_per_minute": 40,
    "perplexity_account_slot_seconds": 45.5,
    "perplexity_account_place_seconds": 60.5,
    "delivery_attempts": 3,
    "delivery_resends": 1,
    "delivery_settle_seconds": 60.5,
    "delivery_settle_poll_seconds": 30.0,
    "sweep_after_seconds": 30.5,
    "idle_end_seconds": 5_000.5,
    "channel_customer_messages_per_minute": 0.0,
}


def model_settings(**changes: Any) -> Settings:
    values: dict[str, Any] = {"_env_file": None, **SETTINGS, **changes}
    return Settings(**values)


_COMES = Texts().handed_over
"""Said under a human too: that a colleague comes."""

Composes = Callable[[Client, ModelDatabase, Outside, Settings, Clock, Callable[[], float]], Activities]


class World:
    """*composes*: makes the activities; *settings*: of all processes. Time passes only here."""

    def __init__(
        self, loop: VirtualLoop, database: ModelDatabase, settings: Settings, composes: Composes = create_activities
    ) -> None:
        self.loop = loop
        self.database = database
        self.settings = settings
        self.stops = Stops(loop)
        database.stops, database.waited = self.stops, []
        self.perplexity = ModelPerplexity(self.stops)
        self.endpoints = ModelEndpoints(self.stops, self._is_begun_late)
        self.whatsapp = ModelWhatsApp(self.stops, self._is_too_late, self._is_astray)
        self.runs: dict[str, DrivenRun] = {}
        self.all_runs: list[DrivenRun] = []
        self.conversations: list[UUID] = []
        self.resets: list[tuple[str, int]] = []
        """Letters of conversations that were reset, and after how many questions."""
        self.decided: list[tuple[str, ApprovalDecision]] = []
        """Staff's decisions as they were handed in, and to which workflow."""
        self.composed: list[ChannelMessage] = []
        """Messages that customers wrote, as the channel brings them."""
        self.keys: list[CustomerIdentity] = [*KEYS]
        """Of each customer, as of now; the third is the stranger who has the first one's old number."""
        self.wrote: dict[str, int] = {}
        """Which customer wrote a message, by the channel's id."""
        self.strangers: UUID | None = None
        """The conversation that began from the old number."""
        self.freed_at: datetime | None = None
        """When it was stored that the first customer's number changed hands."""
        self.revised: dict[str, int | None] = {}
        """Messages that the customer edited or took back, by the channel's id, and after how many questions they did
        so last; None: somebody was about to ask."""
        self.doors: list[Actor] | None = None
        """What API processes do, while they do it step by step (`front_doors`)."""
        self.reported_failed: list[str] = []
        self.reported_arrived: list[str] = []
        """Delivery ids that the channel reported as failed."""
        self.troubled: set[str] = set()
        """Letters of conversations in which a machine failed."""
        self.changed: set[str] = set()
        """Letters of conversations whose owner staff changed: a turn may have begun again."""
        self.defects: list[str] = []
        self.met: Counter[tuple[DrawnEvent, Phase]] = Counter()
        """Which event met which phase, how often."""
        self.are_one = False
        """Both customers have turned out to be one."""
        self.broken: list[str] = []
        """The promises that were broken first."""
        self.states: set[str] = set()
        """Which states were seen (`report.RARE`), when the example's rules were over and when everybody rested."""
        self.is_over: Callable[[World], None] = lambda world: None
        self.sweeps: list[Actor] = []
        self.updates: list[Any] = []
        self._began = loop.time()
        self._swept_at = loop.time()
        self.passed = 0.0
        self.staff_said: list[tuple[UUID, str]] = []
        """In which conversation, and what."""
        self.taken: dict[UUID, float] = {}
        """Conversations that staff took, and when, in seconds passed."""
        self.joined = 0.0
        """When both customers last turned out to be one, in seconds passed."""
        outside = Outside(self.perplexity, self.endpoints, {"whatsapp": only(self.whatsapp)})
        temporal = cast(Client, ModelTemporal(self.signalled, self.decides, self.standing_changed))
        self.does = composes(temporal, database, outside, settings, lambda: self.now, lambda: self.passed)
        loop.set_exception_handler(lambda _loop, context: self._unheard(context))
        self.run(database.rows(inside.EMPTY))
        self.configured = Configured.ALL
        self.run(Configurations(database).apply("default", configuration(Configured.ALL), "the example"))

    def narrow(self) -> None:
        """The channel takes so little at once that most replies, and each question, are several parts."""
        self.whatsapp.limits = ProviderLimits(text_units=64, button_text_units=20, buttons=3)
        self.perplexity.adds = " It goes on for a while, so that all of it is more than one part holds."

    # Time

    @property
    def now(self) -> datetime:
        return now_of(self.loop)

    def run(self, does: Awaitable[T]) -> T:
        """One thing done at once, between two stops."""

        async def in_real_time() -> T:
            with self.loop.real():
                return await does

        task = self.loop.create_task(in_real_time())
        self.loop.run_until_quiet()
        return task.result()

    def at_front_door(self, name: str, does: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """What an API process does: at once, or as an actor that stops where others do."""
        if self.doors is None:
            self.run(does())
        else:
            door = self.stops.start(f"door {len(self.doors) + 1} {name}", does)
            door.ended.add_done_callback(self._door_ended)
            self.doors.append(door)
        self.loop.run_until_quiet()

    @contextmanager
    def front_doors(self) -> Iterator[list[Actor]]:
        """What comes to the API within the block begins, and goes on with the others at work."""
        self.doors = doors = []
        try:
            yield doors
        finally:
            self.doors = None

    def pass_time(self, seconds: float) -> None:
        self.tell(f"{seconds} s pass")
        self.passed += seconds
        self.loop.advance(seconds)
        self.loop.run_until_quiet()

    def pass_until_next(self, longest: float) -> None:
        """Lets time pass until something is due by itself, in whole seconds, at most *longest*."""
        due = self.loop.next_timer()
        left = longest if due is None else min(longest, due - self.loop.time())
        self.pass_time(max(1, math.ceil(left)))

    # What is told to the conversations

    def tell(self, what: str) -> None:
        """Into the trace."""
        self.stops.trace.append(f"— {what}")

    def signalled(self, workflow_id: str, signal: str, seq: int = 0, files: bool = False) -> None:
        """Signal-with-start."""
        run = self.running(workflow_id)
        if signal == "message_stored":
            run.message_stored(seq, files=files)
        elif signal == "standing_changed":
            run.standing_changed()
        else:
            run.delivery_due()

    def standing_changed(self, workflow_id: str) -> None:
        """A signal to whoever runs."""
        run = self.runs.get(workflow_id)
        if run is not None and not run.ended:
            run.standing_changed()

    def decides(self, workflow_id: str, decision: ApprovalDecision) -> None:
        """Update-with-start."""
        self.updates.append(self.loop.create_task(_tried(self.running(workflow_id).decide(decision))))

    def running(self, workflow_id: str) -> DrivenRun:
        """The conversation's run; a new one if none goes on."""
        run = self.runs.get(workflow_id)
        if run is None or run.ended:
            conversation_id = UUID(workflow_id.rpartition("/")[2])
            run = DrivenRun(
                self.name_of(conversation_id), conversation_id, self.does, self.stops, self.loop, lambda: self.now
            )
            self.runs[workflow_id] = run
            self.all_runs.append(run)
        return run

    def workflow_of(self, run: DrivenRun) -> str:
        return next(
            workflow_id for workflow_id, each in self.runs.items() if each.conversation_id == run.conversation_id
        )

    def sweep(self) -> None:
        name = f"sweep {len(self.sweeps) + 1}"
        self.sweeps.append(self.stops.start(name, lambda: ActivityEnvironment().run(self.does.sweep.sweep)))
        self._swept_at = self.loop.time()
        self.loop.run_until_quiet()

    # Actors

    def release(self, stopped: Stopped, outcome: Any = None) -> None:
        """Lets one actor go on to its next stop, with what the outside does, or an exception."""
        if isinstance(outcome, BaseException):
            self.troubled.add(stopped.actor.name[0])
        self.loop.advance(STEP_SECONDS)
        self.stops.release(stopped, outcome)
        self.loop.run_until_quiet()

    def fill(self, run: DrivenRun) -> None:
        """Its run is to continue as new."""
        self.tell(f"the run of {run.letter} is full")
        run.fills()
        self.loop.run_until_quiet()

    def kill(self, actor: Actor) -> None:
        self.troubled.add(actor.name[0])
        self.stops.kill(actor)
        self.loop.run_until_quiet()

    def stop(self, actor: Actor) -> None:
        self.troubled.add(actor.name[0])
        self.stops.cancel(actor)
        self.loop.run_until_quiet()

    def lose(self, actor: Actor) -> None:
        self.troubled.add(actor.name[0])
        self.stops.lose(actor)
        self.loop.run_until_quiet()

    def come_to_rest(self) -> bool:
        """Everybody does what they must, the outside is kind, the sweep comes; whether that has an end."""
        for _ in range(_MOST_STOPS):
            if self.stops.waiting:
                self.release(self.stops.waiting[0])
            elif self._rests():
                return True
            elif self.loop.time() - self._swept_at >= SWEEP_SECONDS:
                self.sweep()
            else:
                self.pass_until_next(SWEEP_SECONDS)
        return False

    def unrest(self) -> list[str]:
        """What somebody would have to do, and does not."""
        owed = [f"{self.name_of(row['conversation_id'])} is owed {row['what']}" for row in self.look(inside.OVERDUE)]
        return [*owed, *(f"the run of {run.letter} does not rest" for run in self.runs.values() if not run.rests)]

    def look(self, statement: str) -> list[dict[str, Any]]:
        return [dict(row) for row in self.run(self.database.rows(statement))]

    def name_of(self, conversation_id: UUID) -> str:
        if conversation_id not in self.conversations:
            self.conversations.append(conversation_id)
        return chr(ord("A") + self.conversations.index(conversation_id))

    def end(self) -> None:
        """Whoever is still there is gone."""
        for run in self.all_runs:
            run.abandon()
        for update in self.updates:
            update.cancel()
        while self.stops.actors:
            for actor in self.stops.actors:
                self.stops.kill(actor)
            self.loop.run_until_quiet()
        self.loop.run_until_quiet()
        self.is_over(self)

    # Inside

    async def _is_begun_late(self, key: str) -> bool:
        """Of an action that is about to be done for the first time: a person had the conversation when it was begun."""
        row = await self.database.row(inside.BEGUN, {"key": key})
        return row is not None and bool(row["late"])

    async def _is_too_late(self, delivery_id: str) -> bool:
        row = await self.database.row(inside.TAKEN, {"id": read_delivery_id(delivery_id)[0]})
        if row is None or row["owner"] != "human" or row["author"] == "agent" or row["text"].endswith(_COMES):
            return False
        taken = self.joined if row["by_a_merge"] else self.taken.get(row["conversation_id"], self.passed)
        return bool(row["claimed_at"] > row["taken_at"] or self.passed - taken >= self.settings.take_over_wait_seconds)

    async def _is_astray(self, delivery_id: str, phone: str | None) -> bool:
        if self.strangers is None or self.freed_at is None:
            return False
        row = await self.database.row(inside.PART, {"id": read_delivery_id(delivery_id)[0]})
        assert row is not None
        is_theirs, to_them = row["conversation_id"] == self.strangers, phone == KEYS[0].value
        return is_theirs != to_them and (is_theirs or row["claimed_at"] > self.freed_at)

    def _rests(self) -> bool:
        idle = all(run.rests for run in self.runs.values()) and all(update.done() for update in self.updates)
        return idle and not self.look(inside.OVERDUE)

    def _door_ended(self, ended: asyncio.Future[Any]) -> None:
        if (error := ended.exception()) is not None and not isinstance(error, Lost):
            self.defects.append(f"a front door: {type(error).__name__} {error}")

    def _unheard(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.defects.append(f"unheard: {type(error).__name__} {error} {context.get('message')}")


async def _tried(update: Awaitable[None]) -> None:
    with suppress(GivenUp):
        await update


def now_of(loop: VirtualLoop) -> datetime:
    """A quarter past a whole second at each stop, so that whole seconds tell what they would tell in any run."""
    return clock.NOW + timedelta(seconds=loop.time() + 0.25)
