"""Temporal's search attributes, made when a worker starts: where that is not allowed, an operator is told how."""

from __future__ import annotations

import asyncio

from temporalio.client import Client
from temporalio.service import RPCError

from config.logs import get_logger
from config.settings import Settings
from integrations.temporal.health import plain_reason
from integrations.temporal.search_attributes import WrongAttributes, advice_on, make_attributes, wrong_attributes
from schemas.operations import SEARCH_ATTRIBUTES

log = get_logger(__name__)

_AGAIN_SECONDS = 1.0


async def ensure_search_attributes(client: Client, settings: Settings) -> None:
    """Makes what is missing, once Temporal lets us into our namespace, however long that takes.

    A refusal to make them is no reason to stop: somebody else may make them a moment later.
    """
    await _let_in(client, settings)
    try:
        await make_attributes(client, settings.temporal_rpc_timeout_seconds)
    except RPCError as error:
        advice = advice_on(settings, WrongAttributes(missing=tuple(SEARCH_ATTRIBUTES)))
        log.error("search_attributes_cannot_be_made", why=plain_reason(error), advice=advice)


async def _let_in(client: Client, settings: Settings) -> None:
    """Waits while there is no such namespace, or no right to it: what an operator mends needs no restart."""
    while True:
        try:
            await wrong_attributes(client, settings.temporal_rpc_timeout_seconds)
            return
        except RPCError as error:
            log.warning("temporal_refuses", namespace=settings.temporal_namespace, why=plain_reason(error))
        await asyncio.sleep(_AGAIN_SECONDS)
