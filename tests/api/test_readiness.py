"""`/readyz` is true: it names what is missing, and no call hangs or ends in a 500 over it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client

from integrations.temporal.search_attributes import (
    WrongAttributes,
    advice_on,
    make_attributes,
    wrong_attributes,
)
from schemas.operations import SEARCH_ATTRIBUTES
from tests.support.waiting import until
from tests.system_in_process import System, running_system

QUICKLY = 5.0
"""Seconds; REPLY_WAIT_SECONDS is 300."""


@pytest.fixture
async def bare_namespace(temporal_address: str) -> str:
    """A namespace in which nobody has made the search attributes."""
    name = f"bare-{uuid4().hex[:8]}"
    client = await Client.connect(temporal_address)
    day = Duration()
    day.FromTimedelta(timedelta(days=1))
    wanted = RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=day)
    await client.workflow_service.register_namespace(wanted)
    return name


@pytest.fixture
async def without_attributes(postgres_url: str, temporal_address: str, bare_namespace: str) -> AsyncIterator[System]:
    async with running_system(postgres_url, temporal_address, temporal_namespace=bare_namespace) as system:
        yield system


@pytest.fixture
async def without_worker(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    async with running_system(postgres_url, temporal_address, worker=False, readiness_cache_seconds=0) as system:
        yield system


async def readyz(system: System, query: str = "") -> tuple[int, dict[str, Any]]:
    response = await system.http.get(f"/readyz{query}")
    return response.status_code, dict(response.json())


def true_ones(body: Mapping[str, Any]) -> set[str]:
    return {name for name, value in body.items() if value is True}


async def check_come_again(system: System) -> None:
    """Each call is a 503 with Retry-After, soon."""
    began = time.monotonic()
    response = await system.send("Hello", message_id="m-1")
    events = [event async for event in system.stream("Hello", message_id="m-1")]

    assert response.status_code == 503, response.text
    assert int(response.headers["Retry-After"]) > 0
    assert [(event.kind, event.data.get("status")) for event in events] == [("accepted", None), ("error", 503)]
    assert time.monotonic() - began < QUICKLY


async def test_all_is_well(system: System) -> None:
    status, body = await until("a 200", lambda: readyz(system, "?for=answer"), lambda seen: seen[0] == 200)

    assert status == 200
    assert body["missing"] == []
    assert body["worker_seen_seconds"] < 60
    assert true_ones(body) == set(body) - {"missing", "worker_seen_seconds"}


async def test_a_front_door_without_a_worker_takes_messages_and_says_so(without_worker: System) -> None:
    status, body = await readyz(without_worker)

    assert status == 200
    assert (await readyz(without_worker, "?for=store"))[0] == 200
    assert (await readyz(without_worker, "?for=answer"))[0] == 503
    assert {"ready", "can_store", "search_attributes"} <= true_ones(body)
    assert not {"can_answer", "worker"} & true_ones(body)
    assert any("agent worker" in line for line in body["missing"])


async def test_missing_search_attributes_are_named_with_the_command(without_attributes: System) -> None:
    status, body = await readyz(without_attributes)

    assert status == 200  # a message is stored all the same, and answered once they are made
    assert not {"can_answer", "search_attributes"} & true_ones(body)
    namespace = without_attributes.settings.temporal_namespace
    [told] = [line for line in body["missing"] if "temporal operator search-attribute create" in line]
    assert f"--namespace {namespace}" in told
    assert all(f"--name {name} --type {kind}" in told for name, kind in SEARCH_ATTRIBUTES.items())
    await check_come_again(without_attributes)


async def test_once_they_are_made_what_was_stored_is_answered_once(without_attributes: System) -> None:
    assert (await without_attributes.send("Hello", message_id="m-1")).status_code == 503

    await make_attributes(without_attributes.temporal, 5)

    answered = await without_attributes.send("Hello", message_id="m-1")
    assert answered.status_code == 200
    assert len(without_attributes.perplexity.prompts) == 1


async def test_an_attribute_of_another_type_is_told_from_one_that_is_missing(
    temporal_address: str, bare_namespace: str
) -> None:
    client = await Client.connect(temporal_address, namespace=bare_namespace)
    mistyped = {"Channel": IndexedValueType.INDEXED_VALUE_TYPE_INT}
    wanted = AddSearchAttributesRequest(namespace=bare_namespace, search_attributes=mistyped)
    await client.operator_service.add_search_attributes(wanted, timeout=timedelta(seconds=5))

    others = tuple(name for name in SEARCH_ATTRIBUTES if name != "Channel")
    assert await wrong_attributes(client, 5) == WrongAttributes(missing=others, mistyped=("Channel",))

    await make_attributes(client, 5)

    assert await wrong_attributes(client, 5) == WrongAttributes(mistyped=("Channel",))


async def test_the_command_for_one_of_another_type_mends_it(
    postgres_url: str, temporal_address: str, bare_namespace: str
) -> None:
    client = await Client.connect(temporal_address, namespace=bare_namespace)
    kinds = {"Channel": IndexedValueType.INDEXED_VALUE_TYPE_INT, "Assistant": IndexedValueType.INDEXED_VALUE_TYPE_BOOL}
    wanted = AddSearchAttributesRequest(namespace=bare_namespace, search_attributes=kinds)
    await client.operator_service.add_search_attributes(wanted, timeout=timedelta(seconds=5))
    async with running_system(
        postgres_url, temporal_address, worker=False, temporal_namespace=bare_namespace
    ) as system:
        _, body = await readyz(system)

    [told] = [line for line in body["missing"] if "search-attribute" in line]
    command = told.partition("Mend it: ")[2]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = await asyncio.to_thread(
        subprocess.run, command, shell=True, env={"PATH": path}, capture_output=True, text=True, timeout=30
    )

    assert done.returncode == 0, done.stderr
    assert await wrong_attributes(client, 5) == WrongAttributes()


async def test_a_namespace_that_is_not_there(postgres_url: str, temporal_address: str) -> None:
    async with running_system(postgres_url, temporal_address, worker=False, temporal_namespace="nowhere") as system:
        status, body = await readyz(system)

        assert status == 503
        assert body["can_store"] is True
        assert "nowhere" in body["missing"][0]
        await check_come_again(system)


async def test_a_database_that_is_read_only(system: System) -> None:
    [here] = await system.database.rows("SELECT current_database() AS name")
    await system.database.rows(f"ALTER DATABASE {here['name']} SET default_transaction_read_only = on")
    await system.database.engine.dispose()  # the setting is read when a connection begins

    status, body = await readyz(system, "?for=store")
    response = await system.send("Hello")

    assert status == 503
    assert not {"ready", "can_store", "can_answer", "postgresql"} & true_ones(body)
    assert "read-only" in body["missing"][0]
    assert response.status_code == 503, response.text
    assert int(response.headers["Retry-After"]) > 0


async def test_a_database_without_our_tables(system: System) -> None:
    missing = ["Migrations are missing: run `agent migrate`"]
    await system.database.rows("DROP TABLE alembic_version")
    await system.database.rows("ALTER TABLE messages RENAME TO messages_of_another")

    status, _ = await until(
        "missing migrations and a worker that is seen",
        lambda: readyz(system, "?for=store"),
        lambda seen: seen[1]["missing"] == missing,
    )
    response = await system.send("Hello")

    assert status == 503
    assert response.status_code == 503, response.text


def test_the_command_for_temporal_cloud(system: System) -> None:
    cloud = system.settings.model_copy(
        update={"temporal_address": "eu-west-1.aws.api.temporal.io:7233", "temporal_namespace": "bots.a1b2c"}
    )

    told = advice_on(cloud, WrongAttributes(missing=("Channel",)))

    assert told.endswith(": tcld namespace search-attributes add -n bots.a1b2c --sa Channel=Keyword")
