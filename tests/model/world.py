"""All there is in one example: two customers, the core's activities, the outside, and who drives what."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast
from uuid import UUID, uuid5

from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from config.clock import Clock
from config.settings import Settings
from integrations.whatsapp.channel import only
from integrations.whatsapp.double import Posted
from schemas.conversations import Decision
from schemas.deliveries import StatusReport, read_delivery_id
from schemas.messages import BatchOptions, ChannelMessage, CustomerIdentity
from schemas.transitions import Event as Change
from schemas.waking import Waking
from storage.actions import Actions
from storage.configurations import Configurations
from storage.delivery_reports import DeliveryReports
from storage.desk import Desk
from storage.erasure import Erasure
from storage.inbox import Inbox
from storage.outbox import Outbox
from storage.standings import Changed, Standings
from tests.model import inside
from tests.model.configurations import ACCOUNT, Configured, configuration
from tests.model.database import ModelDatabase
from tests.model.driver import GivenUp, Run
from tests.model.events import Event
from tests.model.outside import ModelEndpoints, ModelPerplexity, ModelTemporal, ModelWhatsApp
from tests.model.phases import Phase
from tests.model.stops import Actor, Stopped, Stops
from tests.model.virtual_loop import VirtualLoop
from tests.support import clock
from worker.app import Activities, Outside, create_activities

T = TypeVar("T")

PHONES = ("15550000001", "15550000002")
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
    "account_calls_in_flight": 1,
    "account_calls_per_minute": 1_000,
    "account_slot_seconds": 45.5,
    "account_place_seconds": 60.5,
    "delivery_attempts": 3,
    "delivery_resends": 1,
    "delivery_settle_seconds": 60.5,
    "delivery_settle_poll_seconds": 30.0,
    "sweep_after_seconds": 30.5,
    "idle_end_seconds": 5_000.5,
    "channel_customer_messages_per_minute": 0.0,
    "account_messages_per_minute": 0.0,
}


def model_settings(**changes: Any) -> Settings:
    values: dict[str, Any] = {"_env_file": None, **SETTINGS, **changes}
    return Settings(**values)


@dataclass(frozen=True)
class Written:
    """A message as the channel brought it. `waking` names its conversation."""

    message: ChannelMessage
    waking: Waking
    seq: int


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
        database.stops = self.stops
        self.perplexity = ModelPerplexity(self.stops)
        self.endpoints = ModelEndpoints(self.stops, self._is_begun_late)
        self.whatsapp = ModelWhatsApp(self.stops, self._is_too_late)
        self.runs: dict[str, Run] = {}
        self.all_runs: list[Run] = []
        self.conversations: list[UUID] = []
        self.erased: set[UUID] = set()
        self.written: list[Written] = []
        self.reported_failed: list[str] = []
        """Delivery ids that the channel reported as failed."""
        self.troubled: set[str] = set()
        """Letters of conversations in which a machine failed."""
        self.changed: set[str] = set()
        """Letters of conversations whose owner staff changed: a turn may have begun again."""
        self.defects: list[str] = []
        self.met: Counter[tuple[Event, Phase]] = Counter()
        """Which event met which phase, how often."""
        self.sweeps: list[Actor] = []
        self.updates: list[Any] = []
        self._began = loop.time()
        self._swept_at = loop.time()
        self._passed, self._said = 0.0, 0
        self._taken: dict[UUID, float] = {}
        """Conversations that staff took, and when, in seconds passed."""
        outside = Outside(self.perplexity, self.endpoints, {"whatsapp": only(self.whatsapp)})
        temporal = cast(Client, ModelTemporal(self._signalled, self._decided_again, self._standing_changed))
        self.does = composes(temporal, database, outside, settings, lambda: self.now, lambda: self._passed)
        loop.set_exception_handler(lambda _loop, context: self._unheard(context))
        self.run(database.rows(inside.EMPTY))
        self.configure(Configured.ALL)

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

    def pass_time(self, seconds: float) -> None:
        self._tell(f"{seconds} s pass")
        self._passed += seconds
        self.loop.advance(seconds)
        self.loop.run_until_quiet()

    def pass_until_next(self, longest: float) -> None:
        """Lets time pass until something is due by itself, in whole seconds, at most *longest*."""
        due = self.loop.next_timer()
        left = longest if due is None else min(longest, due - self.loop.time())
        self.pass_time(max(1, math.ceil(left)))

    # Customers, the channel, staff

    def write(self, customer: int, *texts: str, ago: float = 0, choice: str | None = None, woken: bool = True) -> None:
        """One webhook with as many messages."""
        self._tell(f"customer {customer + 1} writes {list(texts)}{' a while ago' if ago else ''}")
        messages = [self._message(customer, text, ago, choice, n) for n, text in enumerate(texts)]
        self._store(messages, woken=woken)

    def repeat(self, written: Written) -> None:
        """The webhook comes again."""
        self._tell(f"{written.message.channel_message_id} comes again")
        self._store([written.message], woken=True)

    def report(self, posted: int, status: str, code: int | None = None) -> None:
        """What the channel says of what it took as number *posted*."""
        sent = self.whatsapp.sent[posted]
        self._tell(f"{sent.channel_message_id} is {status} {code or ''}".rstrip())
        delivery_id, fence = read_delivery_id(sent.request.delivery_id)
        error = {"code": code, "explanation": "as the example says"} if code else {}
        report = StatusReport(
            channel_message_id=sent.channel_message_id,
            status=status,
            delivery_id=delivery_id,
            fence=fence,
            error=error,
        )
        if status == "failed":
            self.reported_failed.append(sent.request.delivery_id)
        for waking in self.run(DeliveryReports(self.database).record("whatsapp", [report])):
            self._signalled(waking.workflow_id, "delivery_due", 0)
        self.loop.run_until_quiet()

    def configure(self, which: Configured) -> None:
        self._tell(f"configured: {which}")
        self.configured = which
        self.run(Configurations(self.database).apply("default", configuration(which), "the example"))

    def change(self, run: Run, event: Change) -> None:
        """As the API does it: by one statement, of which the workflow is told."""
        self._tell(f"staff: {run.letter} is {event}")
        self.loop.advance(STEP_SECONDS)
        self._changed(run, self.run(Standings(self.database).change(run.conversation_id, event, who="Ann")))
        if event is Change.TAKEN:
            self._taken.setdefault(run.conversation_id, self._passed)
        else:
            self._taken.pop(run.conversation_id, None)

    def reset(self, run: Run) -> None:
        """As the API does it."""
        self._tell(f"{run.letter} is reset")
        self.loop.advance(STEP_SECONDS)
        standings = Standings(self.database)
        self._changed(run, self.run(standings.reset(run.conversation_id, new_thread=True, who="Ann")))
        self._taken.pop(run.conversation_id, None)

    def staff_write(self, run: Run) -> None:
        """As the API takes a person's own words: they leave, whoever has the conversation."""
        self._tell(f"staff write in {run.letter}")
        self.loop.advance(STEP_SECONDS)
        self._said += 1
        message_id = uuid5(run.conversation_id, f"staff {self._said}")
        outbox, text = Outbox(self.database), f"Ann here {self._said}."
        self.run(outbox.add(run.conversation_id, text, message_id=message_id, author="agent", author_name="Ann"))
        self._signalled(self._workflow_of(run), "delivery_due", 0)
        self.loop.run_until_quiet()

    def resolve_newest_ticket(self) -> bool:
        """False if none is open."""
        tickets = self.look(inside.OPEN_TICKETS)
        resolved = self.run(Desk(self.database).resolve_ticket(tickets[0]["id"], who="Ann")) if tickets else None
        if resolved is not None:
            self._tell(f"a ticket of {self.name_of(resolved.conversation_id)} is resolved")
            self._standing_changed(resolved.workflow_id)
            if resolved.seq:
                self._signalled(resolved.workflow_id, "message_stored", resolved.seq)
            self.loop.run_until_quiet()
        return resolved is not None

    def decide(self, run: Run, digest: str, *, approved: bool, for_customer: bool) -> None:
        self._tell(f"staff {'approve' if approved else 'decline'} in {run.letter}")
        by = self.run(Actions(self.database).hand_in(run.conversation_id, approved=approved, who="Ann"))
        decision = Decision(digest=digest, approved=approved, by=by, for_customer=for_customer)
        self._update(run.decide(decision))

    def cancel(self, run: Run) -> None:
        self._tell(f"{run.letter} is cancelled")
        run.cancel()
        self.loop.run_until_quiet()

    def erase(self, conversation_id: UUID) -> None:
        self._tell(f"{self.name_of(conversation_id)} is erased")
        self.erased.add(conversation_id)
        erasure = Erasure(self.database)
        customer_id = self.run(erasure.customer_of(conversation_id))
        self.run(erasure.erase(customer_id, actor="the example", force=True))

    def sweep(self) -> None:
        name = f"sweep {len(self.sweeps) + 1}"
        self.sweeps.append(self.stops.start(name, lambda: ActivityEnvironment().run(self.does.sweeping.sweep)))
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

    def customer_of(self, posted: Posted) -> int:
        return PHONES.index(posted.request.recipient.phone or "")

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

    # Inside

    def _tell(self, what: str) -> None:
        self.stops.trace.append(f"— {what}")

    def _message(self, customer: int, text: str, ago: float, choice: str | None, n: int) -> ChannelMessage:
        number = len(self.written) + n + 1
        return ChannelMessage(
            account=ACCOUNT,
            channel_message_id=f"in-{number}",
            identities=[CustomerIdentity(kind="phone", value=PHONES[customer])],
            kind="button" if choice else "text",
            speaks=True,
            text=text,
            choice_id=choice,
            sent_at=(self.now - timedelta(seconds=ago)).replace(microsecond=0),
        )

    def _store(self, messages: list[ChannelMessage], *, woken: bool) -> None:
        outcomes = self.run(Inbox(self.database).store_batch("whatsapp", messages, BatchOptions()))
        newest: dict[str, int] = {}
        for message, outcome in zip(messages, outcomes, strict=True):
            assert outcome.waking is not None
            self.name_of(outcome.waking.conversation_id)
            if outcome.outcome == "new":
                self.written.append(Written(message, outcome.waking, outcome.waking.seq))
                newest[outcome.waking.workflow_id] = outcome.waking.seq
        for workflow_id, seq in newest.items() if woken else ():
            self._signalled(workflow_id, "message_stored", seq)
        self.loop.run_until_quiet()

    def _running(self, workflow_id: str) -> Run:
        """The conversation's run; a new one if none goes on."""
        run = self.runs.get(workflow_id)
        if run is None or run.ended:
            conversation_id = UUID(workflow_id.rpartition("/")[2])
            run = Run(
                self.name_of(conversation_id), conversation_id, self.does, self.stops, self.loop, lambda: self.now
            )
            self.runs[workflow_id] = run
            self.all_runs.append(run)
        return run

    def _signalled(self, workflow_id: str, signal: str, seq: int) -> None:
        """Signal-with-start."""
        run = self._running(workflow_id)
        if signal == "message_stored":
            run.message_stored(seq)
        else:
            run.delivery_due()

    def _update(self, update: Any) -> None:
        self.updates.append(self.loop.create_task(_tried(update)))
        self.loop.run_until_quiet()

    def _changed(self, run: Run, changed: Changed) -> None:
        """What the API tells after a change."""
        self.changed.add(run.letter)
        self._standing_changed(self._workflow_of(run))
        if changed.waiting_seq is not None:
            self._signalled(self._workflow_of(run), "message_stored", changed.waiting_seq)
        self.loop.run_until_quiet()

    def _standing_changed(self, workflow_id: str) -> None:
        run = self.runs.get(workflow_id)
        if run is not None and not run.ended:
            run.standing_changed()

    def _decided_again(self, workflow_id: str, decision: Decision) -> None:
        """Update-with-start, by the sweep."""
        self.updates.append(self.loop.create_task(_tried(self._running(workflow_id).decide(decision))))

    def _workflow_of(self, run: Run) -> str:
        return next(
            workflow_id for workflow_id, each in self.runs.items() if each.conversation_id == run.conversation_id
        )

    async def _is_begun_late(self, key: str) -> bool:
        """Of an action that is about to be done for the first time: a person had the conversation when it was begun."""
        row = await self.database.row(inside.BEGUN, {"key": key})
        return row is not None and bool(row["late"])

    async def _is_too_late(self, delivery_id: str) -> bool:
        row = await self.database.row(inside.TAKEN, {"id": read_delivery_id(delivery_id)[0]})
        if row is None or row["owner"] != "human" or row["taken_at"] is None:
            return False
        taken = self._taken.get(row["conversation_id"], self._passed)
        return bool(row["claimed_at"] > row["taken_at"] or self._passed - taken >= self.settings.take_over_wait_seconds)

    def _rests(self) -> bool:
        idle = all(run.rests for run in self.runs.values()) and all(update.done() for update in self.updates)
        return idle and not self.look(inside.OVERDUE)

    def _unheard(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.defects.append(f"unheard: {type(error).__name__} {error} {context.get('message')}")


async def _tried(update: Awaitable[None]) -> None:
    with suppress(GivenUp):
        await update


def now_of(loop: VirtualLoop) -> datetime:
    """A quarter past a whole second at each stop, so that whole seconds tell what they would tell in any run."""
    return clock.NOW + timedelta(seconds=loop.time() + 0.25)
