"""Temporal's search attributes, made when a worker starts: where that is not allowed, an operator is told how."""

from __future__ import annotations

from temporalio.client import Client
from temporalio.service import RPCError

from config.logs import get_logger
from config.settings import Settings
from integrations.temporal.condition import first_line
from integrations.temporal.search_attributes import command_for, make_attributes
from schemas.operations import SEARCH_ATTRIBUTES

log = get_logger(__name__)


async def ensure_search_attributes(client: Client, settings: Settings) -> None:
    """Makes what is missing. A refusal is no reason to stop: somebody else may make them a moment later."""
    try:
        await make_attributes(client, settings.temporal_rpc_timeout_seconds)
    except RPCError as error:
        command = command_for(settings, SEARCH_ATTRIBUTES)
        log.error("search_attributes_cannot_be_made", why=first_line(error), command=command)
