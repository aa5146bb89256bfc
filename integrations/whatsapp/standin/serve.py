"""Starts the stand-in of the Graph API, for `make run` and for tests. It listens on this machine only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from config.clock import Clock, utc_now
from config.serving import HttpServer, server_config
from integrations.whatsapp.meta.signature import HEADER, sign
from integrations.whatsapp.standin import graph as graph_api
from integrations.whatsapp.standin import trying
from integrations.whatsapp.standin.account import ACCESS_TOKEN, DISPLAY_NUMBER, PHONE_NUMBER_ID
from integrations.whatsapp.standin.postman import Postman

HOST = "127.0.0.1"
_GRACE_SECONDS = 1


def create_standin(
    webhook_url: str,
    app_secret: str,
    *,
    access_token: str = ACCESS_TOKEN,
    phone_number_id: str = PHONE_NUMBER_ID,
    seed: int = 0,
    now: Clock = utc_now,
) -> FastAPI:
    """The app; its service is `app.state.graph`. Webhooks are signed with *app_secret* and posted to *webhook_url*."""
    graph = graph_api.Graph(
        webhook_url=webhook_url, access_token=access_token, display_number=DISPLAY_NUMBER, postman_seed=seed, now=now
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        graph.postman = Postman(lambda _, body: _headers(app_secret, body), lambda: graph.switches, seed)
        yield
        await graph.postman.close()

    app = FastAPI(title="WhatsApp stand-in", lifespan=lifespan)
    app.state.graph = graph
    app.include_router(trying.routes(graph, phone_number_id))
    app.include_router(graph_api.routes(graph))
    app.add_exception_handler(graph_api.GraphError, _answer_error)
    return app


def _headers(app_secret: str, body: bytes) -> dict[str, str]:
    return {"Content-Type": "application/json", "User-Agent": "facebookexternalua", HEADER: sign(app_secret, body)}


async def _answer_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, graph_api.GraphError)
    return error.response()


def main(
    port: int,
    webhook_url: str,
    app_secret: str,
    *,
    access_token: str = ACCESS_TOKEN,
    phone_number_id: str = PHONE_NUMBER_ID,
    seed: int = 0,
) -> None:
    """Serves until it is told to stop (SIGINT, SIGTERM)."""
    app = create_standin(webhook_url, app_secret, access_token=access_token, phone_number_id=phone_number_id, seed=seed)
    HttpServer(server_config(app, host=HOST, port=port, timeout_graceful_shutdown=_GRACE_SECONDS)).run()
