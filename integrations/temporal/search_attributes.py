"""The search attributes by which operators find conversations: which are missing, and how they are made.

A conversation is started with some of them, so without them Temporal refuses to start any. Whether they are there is
asked by a query that names them, which needs no rights of an operator and is judged as a start is.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection
from datetime import timedelta

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client, RPCError, RPCStatusCode

from config.settings import Settings
from schemas.operations import SEARCH_ATTRIBUTES

_EXAMPLES = {"Keyword": "'x'", "Bool": "true"}
"""A value of each type that we use: a query with one of another type is refused."""

_CLOUD = (".tmprl.cloud:", ".api.temporal.io:")


async def missing_attributes(client: Client, seconds: float) -> tuple[str, ...]:
    """Names of those that are not there, or are of another type. Raises RPCError for anything else."""
    if await _knows(client, SEARCH_ATTRIBUTES, seconds):
        return ()
    return tuple([name for name in SEARCH_ATTRIBUTES if not await _knows(client, (name,), seconds)])


async def make_attributes(client: Client, seconds: float) -> None:
    """Makes those that are missing. Raises RPCError where that is not allowed, as on Temporal Cloud."""
    kinds = {
        name: IndexedValueType.Value(f"INDEXED_VALUE_TYPE_{SEARCH_ATTRIBUTES[name].upper()}")
        for name in await missing_attributes(client, seconds)
    }
    if kinds:
        wanted = AddSearchAttributesRequest(namespace=client.namespace, search_attributes=kinds)
        await client.operator_service.add_search_attributes(wanted, timeout=timedelta(seconds=seconds))


def command_for(settings: Settings, names: Collection[str]) -> str:
    """What an operator runs to make the attributes *names*, with our address and namespace in it."""
    address = settings.temporal_address or f"127.0.0.1:{settings.temporal_port}"
    namespace = shlex.quote(settings.temporal_namespace)
    if any(part in address for part in _CLOUD):
        pairs = " ".join(f"--sa {name}={SEARCH_ATTRIBUTES[name]}" for name in names)
        return f"tcld namespace search-attributes add -n {namespace} {pairs}"
    pairs = " ".join(f"--name {name} --type {SEARCH_ATTRIBUTES[name]}" for name in names)
    where = f"--address {shlex.quote(address)} --namespace {namespace}"
    return f"temporal operator search-attribute create {where} {pairs}"


async def _knows(client: Client, names: Collection[str], seconds: float) -> bool:
    query = " AND ".join(f"{name} = {_EXAMPLES[SEARCH_ATTRIBUTES[name]]}" for name in names)
    try:
        await client.count_workflows(query, rpc_timeout=timedelta(seconds=seconds))
    except RPCError as error:
        if error.status is RPCStatusCode.INVALID_ARGUMENT:
            return False
        raise
    return True
