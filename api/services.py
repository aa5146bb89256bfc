"""What routes work with. Made once by `api.main`, found by routes through FastAPI's dependencies."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Request

from config.settings import Settings
from integrations.temporal.conversations import Conversations
from storage.api_keys import ApiKeys, KnownKeys
from storage.configurations import Configurations
from storage.database import Database
from storage.inbox import Inbox
from storage.notifications import StreamNotifications
from storage.sessions import Sessions
from storage.streams import StreamEvents
from storage.turn_views import TurnViews
from storage.waiting import Waiting


@dataclass
class Services:
    settings: Settings
    database: Database
    inbox: Inbox
    turns: TurnViews
    sessions: Sessions
    events: StreamEvents
    notifications: StreamNotifications
    waiting: Waiting
    known_keys: KnownKeys
    configurations: Configurations
    conversations: Conversations
    background: set[asyncio.Task[Any]] = field(default_factory=set)

    def in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Work that goes on when its caller leaves; whoever waits for it may look at its result."""
        task = asyncio.create_task(work)
        self.background.add(task)
        task.add_done_callback(self.background.discard)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task


def create_services(settings: Settings, database: Database, conversations: Conversations) -> Services:
    """Everything that routes need, over one pool of connections."""
    assert settings.database_url
    return Services(
        settings=settings,
        database=database,
        inbox=Inbox(database),
        turns=TurnViews(database),
        sessions=Sessions(database),
        events=StreamEvents(database),
        notifications=StreamNotifications(settings.database_url, settings.database_timeout_seconds),
        waiting=Waiting(database),
        known_keys=KnownKeys(ApiKeys(database), settings.api_key_cache_seconds),
        configurations=Configurations(database),
        conversations=conversations,
    )


def get_services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


Serving = Annotated[Services, Depends(get_services)]
