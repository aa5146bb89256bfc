"""The API as it is before it has talked to anybody: for what it says of itself, and of calls that it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx2
from fastapi import APIRouter, FastAPI

from api.app import create_app
from api.services import create_services
from config.settings import Settings
from integrations.temporal.connection import connect
from integrations.temporal.conversations import Conversations
from storage.database import Database

NOBODY = "postgresql://ana@127.0.0.1:1/none"


async def unconnected_app(pages: Sequence[APIRouter] = (), **overrides: Any) -> FastAPI:
    settings = Settings(_env_file=None, **{"database_url": NOBODY, **overrides})  # type: ignore[call-arg]
    client = await connect(settings, lazy=True)
    return create_app(create_services(settings, Database(NOBODY), Conversations(client, settings)), pages)


def calling(app: FastAPI) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url="http://bot.example")
