"""Servers that do not answer: one that never speaks, and a way to a real one that a test can close."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Open = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


@dataclass
class Silence:
    """Takes connections and what is sent, and says nothing."""

    port: int = 0
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65_536):
            self.heard.set()
        writer.close()


@dataclass
class Way:
    """Leads to a server until it is closed; then connections stay, and nothing passes."""

    open_target: Open
    port: int = 0
    is_open: bool = True
    held: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once something was sent that does not pass."""

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await self.open_target()
        await asyncio.gather(self._pass(reader, there_writer, asks=True), self._pass(there_reader, writer, asks=False))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, asks: bool) -> None:
        try:
            while said := await reader.read(65_536):
                if self.is_open:
                    writer.write(said)
                    await writer.drain()
                elif asks:
                    self.held.set()
        except ConnectionError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def silence() -> AsyncIterator[Silence]:
    silent = Silence()
    async with _serving(silent.hear) as silent.port:
        yield silent


@asynccontextmanager
async def way_to(open_target: Open) -> AsyncIterator[Way]:
    way = Way(open_target)
    async with _serving(way.lead) as way.port:
        yield way


@asynccontextmanager
async def _serving(
    take: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """A free port of this machine whose connections go to *take*."""
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        try:
            await take(reader, writer)
        except asyncio.CancelledError:
            pass
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
