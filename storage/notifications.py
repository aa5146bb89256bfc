"""Hears PostgreSQL's NOTIFY on one connection a process, and wakes whoever watches a conversation.

A notification carries an id and no words; who is woken reads the table. So one that is lost (the connection broke)
costs time, never text: everyone is woken after a reconnect, and watchers look by themselves now and then.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID

import asyncpg

from storage.addresses import asyncpg_address
from storage.streams import CHANNEL

_RECONNECT_SECONDS = 0.5
_CHECK_SECONDS = 5.0


class StreamNotifications:
    """Start it with the process, stop it with `close`."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._url = asyncpg_address(url)
        self._timeout = timeout_seconds
        self._watchers: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._listening: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._listening = asyncio.create_task(self._listen())

    async def close(self) -> None:
        if self._listening:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)

    @contextmanager
    def watch(self, conversation_id: UUID) -> Iterator[asyncio.Event]:
        """An event that is set whenever the conversation has new stream events; the watcher clears it."""
        key, changed = str(conversation_id), asyncio.Event()
        self._watchers[key].add(changed)
        try:
            yield changed
        finally:
            self._watchers[key].discard(changed)
            if not self._watchers[key]:
                del self._watchers[key]

    async def _listen(self) -> None:
        while True:
            with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await self._listen_once()
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _listen_once(self) -> None:
        connection = await asyncpg.connect(self._url, timeout=self._timeout, command_timeout=self._timeout)
        try:
            await connection.add_listener(CHANNEL, self._on_notify)
            self._wake_all()
            while True:
                await asyncio.sleep(_CHECK_SECONDS)
                await connection.execute("SELECT 1")
        finally:
            connection.terminate()

    def _on_notify(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        for changed in self._watchers.get(str(payload), ()):
            changed.set()

    def _wake_all(self) -> None:
        for watchers in self._watchers.values():
            for changed in watchers:
                changed.set()
