"""Activities and their adapters, composed into one Worker. `create_worker` takes everything it needs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Interceptor, PollerBehaviorAutoscaling, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.action_handlers import Handlers
from activities.actions import ActionActivities
from activities.assistants import AssistantCache
from activities.conversation import ConversationActivities
from activities.delivery import DeliveryActivities
from activities.expiry import Expiry
from activities.files import FileActivities
from activities.merge import MergeActivities
from activities.sweep import SweepActivities
from activities.turn import TurnActivities
from activities.turn_steps.failures import FailureRecorder
from activities.turn_steps.model_calls import ModelCalls
from activities.turn_steps.presence import Presence
from activities.turn_steps.prompt import Prompts
from config.clock import Clock, Monotonic, utc_now
from config.settings import Settings
from integrations.channels.port import Channel
from integrations.endpoints.port import Endpoints
from integrations.perplexity.port import Perplexity
from integrations.temporal.conversations import Conversations
from storage.account_slots import AccountSlots
from storage.actions import Actions
from storage.alarms import Alarms
from storage.configurations import Configurations
from storage.database import Database
from storage.desk import Desk
from storage.earlier_words import EarlierWords
from storage.failed_attempts import FailedAttempts
from storage.ledger import Ledger
from storage.media import Media
from storage.merges import Merges
from storage.outbox import Outbox
from storage.questions import Questions
from storage.sessions import Sessions
from storage.standings import Standings
from storage.streams import StreamEvents
from storage.turn_commits import TurnCommits
from storage.turns import Turns
from storage.waiting import Waiting
from worker.wordless import Wordless
from workflows.conversation import Conversation
from workflows.sweep import Sweep

SANDBOX = SandboxedWorkflowRunner(
    restrictions=SandboxRestrictions.default.with_passthrough_modules(
        "pydantic",
        "pydantic_core",
        "annotated_types",
        "schemas",
        "actions",
        "activities",
        "storage",
        "integrations",
        "config",
    )
)


@dataclass(frozen=True)
class Activities:
    """All duties, with their adapters injected."""

    turn: TurnActivities
    actions: ActionActivities
    delivery: DeliveryActivities
    files: FileActivities
    conversation: ConversationActivities
    merge: MergeActivities
    sweep: SweepActivities


@dataclass(frozen=True)
class Outside:
    """The services that activities talk to. *channels*: an adapter for each channel that is configured."""

    perplexity: Perplexity
    endpoints: Endpoints
    channels: Mapping[str, Channel]


def create_activities(
    client: Client,
    database: Database,
    outside: Outside,
    settings: Settings,
    now: Clock = utc_now,
    monotonic: Monotonic = time.monotonic,
) -> Activities:
    """The activities over what is passed in; the caller closes that."""
    events, slots = StreamEvents(database), _account_slots(database, settings)
    turns, actions, assistants = Turns(database), Actions(database), AssistantCache(Configurations(database), settings)
    commits, ledger = TurnCommits(database), Ledger(database)
    handlers = Handlers(Desk(database), outside.endpoints)
    outbox, channels = Outbox(database), outside.channels
    conversations = Conversations(client, settings)
    delivery = DeliveryActivities(outbox, channels, assistants, settings, activity.heartbeat, now, monotonic)
    files = FileActivities(Media(database), channels, settings, activity.heartbeat)
    standings, expiry = Standings(database), Expiry(Questions(database), assistants, settings)
    performing = ActionActivities(
        turns, commits, actions, ledger, standings, assistants, handlers, settings, activity.heartbeat, now
    )
    return Activities(
        turn=TurnActivities(
            turns,
            commits,
            assistants,
            Prompts(EarlierWords(database), actions, outside.perplexity, settings, now),
            slots,
            ModelCalls(outside.perplexity, slots, turns, events, settings),
            Presence(channels, outbox, delivery.deliver, settings, now),
            FailureRecorder(FailedAttempts(database), Alarms(database), settings, now),
            performing,
            settings,
            activity.heartbeat,
            now,
        ),
        actions=performing,
        delivery=delivery,
        files=files,
        conversation=ConversationActivities(Sessions(database), standings, expiry, settings),
        merge=MergeActivities(Merges(database), conversations),
        sweep=SweepActivities(Waiting(database), ledger, files, events, conversations, expiry, settings),
    )


def _account_slots(database: Database, settings: Settings) -> AccountSlots:
    return AccountSlots(
        database,
        in_flight=settings.perplexity_account_calls_in_flight,
        per_minute=settings.perplexity_account_calls_per_minute,
        lease_seconds=settings.perplexity_account_slot_seconds,
        place_seconds=settings.perplexity_account_place_seconds,
    )


def create_worker(
    client: Client,
    database: Database,
    outside: Outside,
    settings: Settings,
    now: Clock = utc_now,
    interceptors: Sequence[Interceptor] = (),
) -> Worker:
    """The worker with everything it does; the caller runs it, and closes what it passed in."""
    does = create_activities(client, database, outside, settings, now)
    return Worker(
        client,
        task_queue=settings.temporal_task_queue,
        workflows=[Conversation, Sweep],
        activities=[
            does.turn.answer,
            does.turn.apologize,
            does.actions.perform,
            does.actions.resolve_approval,
            does.delivery.deliver,
            does.files.fetch,
            does.conversation.load_state,
            does.conversation.set_state,
            does.conversation.stop,
            does.conversation.expire,
            does.conversation.reset,
            does.merge.hand_over,
            does.sweep.sweep,
        ],
        interceptors=[*interceptors, Wordless(settings)],
        workflow_runner=SANDBOX,
        max_concurrent_activities=settings.worker_activities,
        max_concurrent_workflow_tasks=settings.worker_workflow_tasks,
        max_cached_workflows=settings.worker_cached_workflows,
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
        activity_task_poller_behavior=PollerBehaviorAutoscaling(),
        max_heartbeat_throttle_interval=timedelta(seconds=settings.turn_heartbeat_seconds / 2),
        default_heartbeat_throttle_interval=timedelta(seconds=settings.turn_heartbeat_seconds / 2),
        graceful_shutdown_timeout=timedelta(seconds=settings.worker_shutdown_seconds),
    )
