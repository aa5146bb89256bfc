"""What `/readyz` tells: whether a message could be stored, and answered, at this moment, and what is missing if not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from pydantic import BaseModel, Field

from config.settings import Settings
from integrations.temporal.connection import address_of
from integrations.temporal.conversations import Conversations, TemporalUnavailable
from integrations.temporal.health import TemporalHealth
from integrations.temporal.search_attributes import advice_on
from storage.database import Database, StorageUnavailable
from storage.health import StorageHealth, storage_health

T = TypeVar("T")

_BAD_SECONDS = 0.1


class Readiness(BaseModel):
    """Each part: whether it can be worked with now. `ready` is PostgreSQL, its migrations and Temporal."""

    ready: bool
    can_store: bool = Field(description="PostgreSQL answers, can be written to, and its migrations are done")
    can_answer: bool = Field(description="Also: Temporal, its search attributes, and a worker that asks for work")
    postgresql: bool
    migrations: bool
    temporal: bool
    search_attributes: bool
    worker: bool
    worker_seen_seconds: float | None = Field(
        default=None,
        description="How long ago a worker last asked for work. A question stands for up to a minute, so one that is"
        " frozen counts as there for that minute and READINESS_WORKER_SECONDS more",
    )
    missing: list[str] = Field(default_factory=list, description="What is wrong, each with what to do")


class ReadinessChecks:
    """Looks at most once at a time, and keeps a good answer for READINESS_CACHE_SECONDS; a bad one is soon looked at
    anew, so that nobody waits longer than need be."""

    def __init__(self, database: Database, conversations: Conversations, settings: Settings) -> None:
        self._database = database
        self._conversations = conversations
        self._settings = settings
        self._looking: asyncio.Task[Readiness] | None = None
        self._asking_storage: asyncio.Task[StorageHealth] | None = None
        self._look_again = 0.0

    async def now(self) -> Readiness:
        """Takes at most READINESS_TIMEOUT_SECONDS, and never raises."""
        looking = self._looking
        if looking is None or (looking.done() and time.monotonic() >= self._look_again):
            looking = self._looking = asyncio.create_task(self._look())
        return await asyncio.shield(looking)

    async def check_deciding(self) -> None:
        """Raises StorageUnavailable or TemporalUnavailable unless both would take a decision now."""
        found = await self.now()
        if not found.can_store:
            raise StorageUnavailable("; ".join(found.missing))
        if not found.temporal:
            raise TemporalUnavailable("; ".join(found.missing))

    async def while_temporal_answers(self, call: Coroutine[Any, Any, T], silence_seconds: float) -> T:
        """What *call* returns. Raises TemporalUnavailable, and ends it, once Temporal has been silent for so long: a
        call to one that is frozen would not end for long."""
        waiting = asyncio.create_task(call)
        lost = asyncio.create_task(self.until_temporal_is_lost(silence_seconds))
        try:
            await asyncio.wait({waiting, lost}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                raise TemporalUnavailable("it does not answer any more")
            return await waiting
        finally:
            waiting.cancel()
            lost.cancel()
            await asyncio.gather(waiting, lost, return_exceptions=True)

    async def until_temporal_is_lost(self, silence_seconds: float) -> None:
        """Returns once Temporal has not answered for so long; a shorter silence passes."""
        lost_since: float | None = None
        while lost_since is None or time.monotonic() - lost_since < silence_seconds:
            await asyncio.sleep(self._settings.readiness_watch_seconds)
            began = time.monotonic()
            lost_since = None if (await self.now()).temporal else lost_since or began

    async def _look(self) -> Readiness:
        storage, temporal = await asyncio.gather(self._storage(), self._conversations.health())
        found = readiness(storage, temporal, self._settings)
        kept = self._settings.readiness_cache_seconds
        self._look_again = time.monotonic() + (kept if found.can_answer else min(kept, _BAD_SECONDS))
        return found

    async def _storage(self) -> StorageHealth:
        """A question without an answer is left to end by itself: to cancel it may take as long as the answer."""
        seconds = self._settings.readiness_timeout_seconds
        asking = self._asking_storage = self._asking_storage or asyncio.create_task(storage_health(self._database))
        await asyncio.wait({asking}, timeout=seconds)
        if not asking.done():
            return StorageHealth(False, False, False, reason=f"no answer within {seconds:g} s")
        self._asking_storage = None
        return asking.result()


def readiness(storage: StorageHealth, temporal: TemporalHealth, settings: Settings) -> Readiness:
    seen = temporal.worker_seen_seconds
    worker = seen is not None and seen <= settings.readiness_worker_seconds
    attributes = temporal.answers and not temporal.attributes
    return Readiness(
        ready=storage.can_store and temporal.answers,
        can_store=storage.can_store,
        can_answer=storage.can_store and temporal.answers and attributes and worker,
        postgresql=storage.answers and storage.writable,
        migrations=storage.migrated,
        temporal=temporal.answers,
        search_attributes=attributes,
        worker=worker,
        worker_seen_seconds=seen,
        missing=[*_of_storage(storage), *_of_temporal(temporal, settings, worker=worker)],
    )


def _of_storage(storage: StorageHealth) -> list[str]:
    if storage.reason:
        what = "cannot be written to" if storage.answers else "does not answer"
        return [f"PostgreSQL {what}: {storage.reason}"]
    return [] if storage.migrated else ["Migrations are missing: run `agent migrate`"]


def _of_temporal(temporal: TemporalHealth, settings: Settings, *, worker: bool) -> list[str]:
    if not temporal.connected:
        return [f"TEMPORAL_ADDRESS: no Temporal answers at {address_of(settings)}: {temporal.reason}"]
    if not temporal.answers:
        namespace = settings.temporal_namespace
        return [f"Temporal does not answer for the namespace {namespace} (TEMPORAL_NAMESPACE): {temporal.reason}"]
    missing = []
    if temporal.attributes:
        missing.append(f"Search attributes in Temporal: {advice_on(settings, temporal.attributes)}")
    if not worker:
        missing.append(f"No worker asks for work on the task queue {settings.temporal_task_queue}: run `agent worker`")
    return missing
