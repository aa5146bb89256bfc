"""The stand-ins on real sockets, and a receiver that notes the webhooks they post."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import uvicorn
from fastapi import FastAPI, Request, Response
from pydantic import SecretStr

from config.serving import server_config
from config.settings import Settings
from integrations.whatsapp.configuration import meta_from, twilio_from
from integrations.whatsapp.meta.client import MetaWhatsApp
from integrations.whatsapp.standin.account import ACCESS_TOKEN, PHONE_NUMBER_ID
from integrations.whatsapp.standin.graph import Graph
from integrations.whatsapp.standin.serve import create_standin
from integrations.whatsapp.twilio.client import TwilioWhatsApp
from tests.support import clock
from tests.support.waiting import until
from tests.twilio_standin import ACCOUNT_SID, AUTH_TOKEN, Twilio, create_twilio

APP_SECRET = "the-app-secret"
TWILIO_NUMBER = "15550783881"


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[str]:
    """*app* on a free port of this machine; yields its address."""
    config = server_config(app, port=0, log_level="critical", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    await until("uvicorn's start", lambda: server.started)
    try:
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


@dataclass
class Webhook:
    """One POST as it came; `url` is the address it was posted to."""

    url: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """Answers 200, or the next of `answers`, and notes everything."""

    got: list[Webhook] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/hook")
        @app.post("/api/webhooks/twilio")
        async def hook(request: Request) -> Response:
            self.got.append(Webhook(str(request.url), dict(request.headers), await request.body()))
            return Response(status_code=self.answers.pop(0) if self.answers else 200)

        return app


@dataclass
class MetaSide:
    adapter: MetaWhatsApp
    graph: Graph
    receiver: Receiver
    url: str

    account = PHONE_NUMBER_ID


@dataclass
class TwilioSide:
    adapter: TwilioWhatsApp
    service: Twilio
    receiver: Receiver
    url: str

    account = TWILIO_NUMBER


@asynccontextmanager
async def meta_side(seed: int = 0, **settings: object) -> AsyncIterator[MetaSide]:
    """The adapter of Meta's Cloud API, the stand-in it talks to, and who gets that one's webhooks."""
    receiver = Receiver()
    async with serving(receiver.app()) as hook:
        app = create_standin(f"{hook}/hook", APP_SECRET, seed=seed, now=clock.now)
        async with serving(app) as url:
            values = {"whatsapp_access_token": SecretStr(ACCESS_TOKEN), "whatsapp_graph_url": url}
            adapter = meta_from(_settings(**values | settings))
            assert adapter is not None
            yield MetaSide(adapter, app.state.graph, receiver, url)
            await adapter.close()


@asynccontextmanager
async def twilio_side(**settings: object) -> AsyncIterator[TwilioSide]:
    """The adapter of Twilio, the stand-in it talks to, and who gets that one's webhooks."""
    receiver, app = Receiver(), create_twilio()
    async with serving(receiver.app()) as hook, serving(app) as url:
        account = {
            "twilio_account_sid": ACCOUNT_SID,
            "twilio_auth_token": SecretStr(AUTH_TOKEN),
        }
        values = {"twilio_api_url": url, "public_url": hook, **account}
        adapter = twilio_from(_settings(**values | settings))
        assert adapter is not None
        yield TwilioSide(adapter, app.state.twilio, receiver, url)
        await adapter.close()


def _settings(**values: object) -> Settings:
    return Settings(_env_file=None, **values)  # type: ignore[arg-type]
