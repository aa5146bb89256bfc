"""The search attributes by which operators find conversations: which are missing or wrong, and how that is mended.

A conversation is started with some of them, so without them Temporal refuses to start any. Whether they are there is
asked by a query that names them, which needs no rights of an operator and is judged as a start is.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client, RPCError, RPCStatusCode

from config.settings import Settings
from integrations.temporal.connection import address_of
from schemas.operations import SEARCH_ATTRIBUTES

_EXAMPLES = {"Keyword": "'x'", "KeywordList": "'x'", "Bool": "true"}
"""A value of each type that we use: a query with one of another type is refused. Not so a word where the attribute is
Text: that is not seen, and does no harm, for conversations are started all the same."""
_KINDS = {
    "Keyword": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    "KeywordList": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD_LIST,
    "Bool": IndexedValueType.INDEXED_VALUE_TYPE_BOOL,
}

_CLOUD = (".tmprl.cloud:", ".api.temporal.io:")


@dataclass(frozen=True)
class WrongAttributes:
    """Names of those that are not there, and of those that are of another type: they must be removed first."""

    missing: tuple[str, ...] = ()
    mistyped: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.missing or self.mistyped)


async def wrong_attributes(client: Client, seconds: float) -> WrongAttributes:
    """Raises RPCError where it cannot be asked."""
    if await _takes(client, [_of_its_type(name) for name in SEARCH_ATTRIBUTES], seconds):
        return WrongAttributes()
    wrong = [name for name in SEARCH_ATTRIBUTES if not await _takes(client, [_of_its_type(name)], seconds)]
    mistyped = [name for name in wrong if await _takes(client, [f"{name} IS NULL"], seconds)]
    return WrongAttributes(tuple(name for name in wrong if name not in mistyped), tuple(mistyped))


async def make_attributes(client: Client, seconds: float) -> None:
    """Makes those that are missing. Raises RPCError where that is not allowed, as on Temporal Cloud."""
    kinds = {name: _KINDS[SEARCH_ATTRIBUTES[name]] for name in (await wrong_attributes(client, seconds)).missing}
    if kinds:
        wanted = AddSearchAttributesRequest(namespace=client.namespace, search_attributes=kinds)
        await client.operator_service.add_search_attributes(wanted, timeout=timedelta(seconds=seconds))


def advice_on(settings: Settings, wrong: WrongAttributes) -> str:
    """One line: what is wrong, and what an operator runs to mend it, with our address and namespace in it."""
    told = [f"missing: {', '.join(wrong.missing)}"] if wrong.missing else []
    told += [f"of another type: {', '.join(wrong.mistyped)}"] if wrong.mistyped else []
    address = address_of(settings)
    namespace = shlex.quote(settings.temporal_namespace)
    cloud = any(part in address for part in _CLOUD)
    commands = _on_cloud(namespace, wrong) if cloud else _on_a_server(address, namespace, wrong)
    return f"{'; '.join(told)}. Mend it: {' && '.join(commands)}"


def _on_a_server(address: str, namespace: str, wrong: WrongAttributes) -> list[str]:
    call, where = "temporal operator search-attribute", f"--address {shlex.quote(address)} --namespace {namespace}"
    removed = " ".join(f"--name {name}" for name in wrong.mistyped)
    made = " ".join(f"--name {name} --type {SEARCH_ATTRIBUTES[name]}" for name in (*wrong.missing, *wrong.mistyped))
    return [*([f"{call} remove {where} {removed} --yes"] if removed else []), f"{call} create {where} {made}"]


def _on_cloud(namespace: str, wrong: WrongAttributes) -> list[str]:
    """Temporal Cloud removes none: one of another type gets another name."""
    call = "tcld namespace search-attributes"
    renamed = [f"{call} rename -n {namespace} --en {name} --nn {name}Before" for name in wrong.mistyped]
    made = " ".join(f"--sa {name}={SEARCH_ATTRIBUTES[name]}" for name in (*wrong.missing, *wrong.mistyped))
    return [*renamed, f"{call} add -n {namespace} {made}"]


def _of_its_type(name: str) -> str:
    return f"{name} = {_EXAMPLES[SEARCH_ATTRIBUTES[name]]}"


async def _takes(client: Client, conditions: Collection[str], seconds: float) -> bool:
    """Whether Temporal takes a query of these."""
    try:
        await client.count_workflows(" AND ".join(conditions), rpc_timeout=timedelta(seconds=seconds))
    except RPCError as error:
        if error.status is RPCStatusCode.INVALID_ARGUMENT:
            return False
        raise
    return True
