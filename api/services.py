"""What routes work with. Made once by `api.main`, found by routes through FastAPI's dependencies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from api.answers import Answers
from api.background_signals import BackgroundSignals
from api.open_streams import OpenStreams
from api.readiness import ReadinessChecks
from api.stopping import Stopping
from api.webhooks import Webhooks
from config.clock import Clock, utc_now
from config.kept_value import KeptValue
from config.session_cookies import SessionCookies, session_cookies
from config.settings import Settings
from integrations.temporal.conversations import Conversations
from storage.actions import Actions
from storage.api_keys import ApiKeys, KnownKeys
from storage.configurations import Configurations
from storage.database import Database
from storage.deliveries import Deliveries
from storage.delivery_reports import DeliveryReports
from storage.effects import Effects
from storage.inbox import Inbox
from storage.leftovers import Leftovers
from storage.notifications import StreamNotifications
from storage.outbox import Outbox
from storage.sessions import Sessions
from storage.standings import Standings
from storage.streams import StreamEvents
from storage.teams import Teams
from storage.turn_views import TurnViews
from storage.user_sessions import UserSessions
from storage.waiting import Waiting


@dataclass
class Services:
    settings: Settings
    database: Database
    inbox: Inbox
    turns: TurnViews
    sessions: Sessions
    standings: Standings
    actions: Actions
    events: StreamEvents
    notifications: StreamNotifications
    waiting: Waiting
    waiting_now: KeptValue[int]
    open_streams: OpenStreams
    known_keys: KnownKeys
    configurations: Configurations
    conversations: Conversations
    answers: Answers
    outbox: Outbox
    effects: Effects
    deliveries: Deliveries
    leftovers: Leftovers
    signals: BackgroundSignals
    webhooks: Webhooks
    stopping: Stopping
    readiness: ReadinessChecks
    cookies: SessionCookies
    user_sessions: UserSessions
    teams: Teams
    now: Clock
    """When a webhook came, and whether a key has expired."""


def create_services(
    settings: Settings, database: Database, conversations: Conversations, now: Clock = utc_now
) -> Services:
    """Everything that routes need, over one pool of connections."""
    assert settings.database_url
    turns, inbox, waiting = TurnViews(database), Inbox(database), Waiting(database)
    signals = BackgroundSignals(conversations, settings.webhook_wakes_at_once)
    readiness = ReadinessChecks(database, conversations, settings)
    return Services(
        settings=settings,
        database=database,
        inbox=inbox,
        turns=turns,
        sessions=Sessions(database, settings.default_language),
        standings=Standings(database),
        actions=Actions(database),
        events=StreamEvents(database),
        notifications=StreamNotifications(settings.database_url, settings.database_timeout_seconds),
        waiting=waiting,
        waiting_now=KeptValue(waiting.count, settings.waiting_messages_cache_seconds),
        open_streams=OpenStreams(settings.streams_at_once),
        known_keys=KnownKeys(ApiKeys(database), settings.api_key_cache_seconds, now),
        configurations=Configurations(database),
        conversations=conversations,
        answers=Answers(conversations, turns, readiness, settings),
        outbox=Outbox(database),
        effects=Effects(database),
        deliveries=Deliveries(database),
        leftovers=Leftovers(database),
        signals=signals,
        webhooks=Webhooks(inbox, DeliveryReports(database), signals, settings),
        stopping=Stopping(settings.api_shutdown_seconds),
        readiness=readiness,
        cookies=session_cookies(settings),
        user_sessions=UserSessions(database),
        teams=Teams(database),
        now=now,
    )


def get_services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


Serving = Annotated[Services, Depends(get_services)]
