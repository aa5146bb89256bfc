"""Settings → adapters → services → app → uvicorn. `agent api` runs this until SIGTERM."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence

import uvicorn
from fastapi import APIRouter

from api.app import create_app
from api.services import Services, create_services
from config.logs import configure_logs, get_logger
from config.serving import HttpServer, server_config
from config.settings import Settings
from integrations.temporal.connection import connect
from integrations.temporal.conversations import Conversations
from storage.api_keys import ApiKeys
from storage.database import Database, StorageUnavailable
from storage.users import Users

log = get_logger(__name__)

_CLOSING_SECONDS = 0.5
"""For connections whose answers are out, beyond API_SHUTDOWN_SECONDS."""

_RETRY_SECONDS = 1.0


def main(settings: Settings, pages: Sequence[APIRouter] = ()) -> None:
    """Serves HTTP, *pages* with it, until SIGTERM or Ctrl-C."""
    configure_logs(settings, "api")
    asyncio.run(_run(settings, pages))


async def _run(settings: Settings, pages: Sequence[APIRouter]) -> None:
    assert settings.database_url
    database = Database(
        settings.database_url,
        pool_size=settings.database_pool_size,
        statement_seconds=settings.database_timeout_seconds,
    )
    try:
        await _when_there(lambda: keep_first_key(database, settings))
        await _when_there(lambda: keep_first_admin(database, settings))
        client = await connect(settings, lazy=True)
        services = create_services(settings, database, Conversations(client, settings))
        config = server_config(
            create_app(services, pages),
            host=settings.host,
            port=settings.port,
            timeout_graceful_shutdown=settings.api_shutdown_seconds + _CLOSING_SECONDS,
        )
        await Server(services, config).serve()
    finally:
        await database.close()


class Server(HttpServer):
    """Would wait for callers whose answers may take minutes: they are told to come again instead."""

    def __init__(self, services: Services, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._services = services

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._services.answers.stop()
        self._services.stopping.stop()
        await super().shutdown(sockets)


async def keep_first_key(database: Database, settings: Settings) -> None:
    """API_KEY of the settings works from the first start on, however often the process starts."""
    if settings.api_key and not await ApiKeys(database).keep_first(settings.api_key.get_secret_value()):
        log.warning("api_key_revoked", advice="API_KEY was revoked: set another one, or unset it")


async def keep_first_admin(database: Database, settings: Settings) -> None:
    """ADMIN_EMAIL signs in with ADMIN_PASSWORD, where there was no administrator before."""
    if settings.admin_email and settings.admin_password:
        password = settings.admin_password.get_secret_value()
        if await Users(database).add_first(settings.admin_email, password):
            log.info("first_administrator_added")


async def _when_there(work: Callable[[], Awaitable[None]]) -> None:
    """Waits for the database."""
    while True:
        try:
            return await work()
        except StorageUnavailable as error:
            log.warning("database_away", why=str(error))
            await asyncio.sleep(_RETRY_SECONDS)
