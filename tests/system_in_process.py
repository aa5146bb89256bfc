"""Everything but the outside world in one process, so that a test can count, look inside and hold the model back."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx2
import uvicorn
from fastapi import FastAPI
from sqlalchemy import event
from temporalio.client import Client

from api.app import create_app
from api.services import Services, create_services
from config.clock import Clock
from config.serving import server_config
from config.settings import Settings
from dashboard.overview import overview
from dashboard.phone import phone
from dashboard.playground import playground
from dashboard.sign_in import sign_in
from integrations.endpoints.double import ScriptedEndpoints
from integrations.perplexity.double import ScriptedPerplexity, words
from integrations.temporal.connection import connect
from integrations.temporal.conversations import Conversations
from integrations.whatsapp.accounts import META, TWILIO
from integrations.whatsapp.channel import WhatsAppChannel, only
from integrations.whatsapp.double import RecordingWhatsApp
from integrations.whatsapp.port import WhatsAppProvider
from schemas.access import FIRST_SCOPES
from schemas.channels import WHATSAPP
from storage.api_keys import ApiKeys
from storage.database import Database
from tests.ports import free_port
from tests.servers import drop_database, fresh_database
from tests.support import clock
from tests.support.waiting import LONGEST_SECONDS, until, within
from worker.app import Outside, create_worker
from worker.running import running

KEY = "test-key-0123456789abcdef"


@dataclass
class StreamedEvent:
    kind: str
    data: dict[str, Any]
    id: str


@dataclass
class System:
    settings: Settings
    database: Database
    perplexity: ScriptedPerplexity
    endpoints: ScriptedEndpoints
    whatsapp: RecordingWhatsApp
    services: Services
    app: FastAPI
    http: httpx2.AsyncClient
    temporal: Client
    statements: list[str] = field(default_factory=list)

    @property
    def outside(self) -> Outside:
        return Outside(
            self.perplexity, self.endpoints, {WHATSAPP: WhatsAppChannel({META: self.whatsapp, TWILIO: self.whatsapp})}
        )

    async def send(
        self, text: str, *, customer: str = "c-1", message_id: str | None = None, **more: Any
    ) -> httpx2.Response:
        body = {"customer_id": customer, "text": text, "message_id": message_id or str(uuid4()), **more}
        posted = self.http.post("/api/message", json=body)
        return await within(f"an answer to {body}", posted, lambda: f"asked: {self._asked}")

    async def stream(
        self, text: str, *, customer: str = "c-1", message_id: str | None = None, last_event_id: str | None = None
    ) -> AsyncIterator[StreamedEvent]:
        """The events of `POST /api/query_async`, as they come."""
        body = {"customer_id": customer, "text": text} | ({"message_id": message_id} if message_id else {})
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        async with self.http.stream("POST", "/api/query_async", json=body, headers=headers) as response:
            assert response.status_code == 200, await response.aread()
            fields: dict[str, str] = {}
            async for line in response.aiter_lines():
                if line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif "event" in fields:
                    yield StreamedEvent(fields["event"], json.loads(fields["data"]), fields["id"])
                    fields = {}

    async def until_waiting(self, messages: int, customer: str = "c-1") -> None:
        """Returns once so many messages are stored and not processed."""
        await until(
            f"{messages} waiting messages of {customer}",
            lambda: self.session(customer),
            lambda session: session["waiting_messages"] >= messages,
        )

    async def until_asked(self, times: int) -> None:
        """Returns once so many questions were put to the model."""
        await until(f"{times} questions to the model", lambda: self._asked, lambda asked: len(asked) >= times)

    @property
    def _asked(self) -> list[str]:
        return [words(question) for question in self.perplexity.prompts]

    async def session(self, customer: str = "c-1") -> dict[str, Any]:
        response = await self.http.get(f"/api/session/{customer}")
        response.raise_for_status()
        return dict(response.json())


@asynccontextmanager
async def running_system(
    postgres_url: str,
    temporal_address: str,
    *,
    worker: bool = True,
    connected: bool = True,
    address: str | None = None,
    adapter: Callable[[Settings], WhatsAppProvider | None] = lambda _: None,
    now: Clock = clock.now,
    **overrides: Any,
) -> AsyncIterator[System]:
    """A system on a fresh database. *overrides* are settings; with worker=False nothing answers.
    With connected=False the API starts before Temporal does.

    *address*: where it is to listen; *adapter* makes the provider of WhatsApp, in the place of the recording one.
    *now*: the clock of PostgreSQL and of what runs here; Temporal's is its own.
    """
    name = f"test_{uuid4().hex}"
    url = await fresh_database(postgres_url, name)
    # One Temporal server serves all tests, so each system has a task queue of its own.
    values = {"database_url": url, "temporal_address": temporal_address, "temporal_task_queue": name}
    settings = Settings(_env_file=None, **{**_QUICK, **values, **overrides})  # type: ignore[call-arg]
    database = Database(url, now=now)
    client = await connect(settings, lazy=not connected)
    services = create_services(settings, database, Conversations(client, settings), now)
    await ApiKeys(database).add("test", KEY, scopes=FIRST_SCOPES, actor="test")
    perplexity = ScriptedPerplexity()
    endpoints = ScriptedEndpoints()
    headers = {"Authorization": f"Bearer {KEY}"}
    app = create_app(services, [playground(settings), overview(settings), sign_in(settings), phone(settings)])
    async with (
        _serving(app, address) as served,
        httpx2.AsyncClient(base_url=served, headers=headers, timeout=LONGEST_SECONDS) as http,
    ):
        system = System(settings, database, perplexity, endpoints, RecordingWhatsApp(), services, app, http, client)
        outside = system.outside
        if real := adapter(settings):
            outside = Outside(perplexity, endpoints, {WHATSAPP: only(real)})
        event.listen(database.engine.sync_engine, "before_cursor_execute", lambda *a: system.statements.append(a[2]))
        if worker:
            worker_at_work = create_worker(client, database, outside, settings, now)
            async with running(worker_at_work, settings):
                yield system
        else:
            yield system
        if real:
            await real.close()
    await database.close()
    await drop_database(postgres_url, name)


def free_address() -> str:
    """Where nothing listens yet."""
    return f"http://127.0.0.1:{free_port()}"


@asynccontextmanager
async def _serving(app: FastAPI, address: str | None = None) -> AsyncIterator[str]:
    """The app behind a real socket, at *address* or a free one; its address."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", int(address.rpartition(":")[2]) if address else 0))
    listener.listen(256)
    server = uvicorn.Server(server_config(app, timeout_graceful_shutdown=1))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving
        listener.close()


_QUICK: dict[str, Any] = {
    "turn_retry_pause_seconds": 0.05,
    "worker_shutdown_seconds": 0,
    "worker_abandon_seconds": 20.0,
    "turn_heartbeat_seconds": 3.0,
    "newer_message_poll_seconds": 60.0,  # who has the model answer after a change does not race against a look
}
