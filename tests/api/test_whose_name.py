"""A name that several people of one channel have never leads to the wrong one, and calls do not make a second one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from schemas.messages import CustomerIdentity, IncomingMessage
from tests.system_in_process import System, running_system
from tests.whatsapp_customer import SETTINGS, Customer

AGENT = Path(sys.executable).with_name("agent")


@pytest.fixture
async def system(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    async with running_system(postgres_url, temporal_address, **SETTINGS) as system:
        yield system


def agent(system: System, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    known = {"DATA_DIR": str(folder), "DATABASE_URL": system.settings.database_url or ""}
    command = [AGENT, "conversation", *words]
    return subprocess.run(command, cwd=folder, env={**os.environ, **known}, capture_output=True, text=True, timeout=30)


async def named_alike(system: System) -> Customer:
    """A customer of WhatsApp, and somebody else whom the channel knows by that number as another kind of name."""
    customer = Customer(system)
    await customer.write("private words")
    await customer.until_idle()
    other = [CustomerIdentity(kind="username", value=customer.phone), CustomerIdentity(kind="user_id", value="US.7")]
    message = {"channel": "whatsapp", "account": "7", "identities": other, "id_scope": "7", "channel_message_id": "1"}
    await system.services.inbox.store(IncomingMessage(text="other words", **message))
    return customer


async def kept(system: System) -> set[str]:
    rows = await system.database.rows("SELECT text FROM messages WHERE direction = 'in'")
    return {row["text"] for row in rows}


@pytest.mark.parametrize("channel", ["whatsapp", "meta", "twilio"])
@pytest.mark.parametrize("path", ["/api/message", "/api/query_async"])
async def test_a_call_is_no_message_of_a_channel_that_has_a_webhook(system: System, path: str, channel: str) -> None:
    body: dict[str, Any] = {"customer_id": "15550001111", "text": "hi", "channel": channel}

    refused = await system.http.post(path, json=body)

    assert refused.status_code == 422
    [error] = refused.json()["errors"]
    assert error["path"] == "/body/channel"
    assert f"messages of {channel} come by its webhook" in error["message"]
    assert await kept(system) == set()


async def test_a_session_of_several_people_is_refused(system: System) -> None:
    customer = await named_alike(system)

    for path in ("", "/thread", "/turns"):
        refused = await system.http.get(f"/api/session/{customer.phone}{path}", params={"channel": "whatsapp"})
        assert refused.status_code == 409
        assert f"phone {customer.phone}" in refused.json()["detail"]
        assert f"user_id US.7, username {customer.phone}" in refused.json()["detail"]
    told = {"text": "For the customer", "agent_name": "Ann"}
    refused = await system.http.post(f"/api/session/{customer.phone}/messages?channel=whatsapp", json=told)
    assert refused.status_code == 409
    assert (await system.http.get("/api/session/US.7", params={"channel": "whatsapp"})).status_code == 200


@pytest.mark.processes
async def test_nobody_is_erased_under_a_name_of_several_people(system: System, tmp_path: Path) -> None:
    customer = await named_alike(system)

    refused = agent(system, tmp_path, "erase", customer.phone, "-c", "whatsapp", "--yes", "--force")

    assert refused.returncode == 2
    assert refused.stderr.startswith(f"agent: {customer.phone} is a name of 2 people on whatsapp: ")
    assert "--all" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert await kept(system) == {"private words", "other words"}


@pytest.mark.processes
async def test_all_of_them_are_erased_if_that_is_said(system: System, tmp_path: Path) -> None:
    customer = await named_alike(system)

    done = agent(system, tmp_path, "erase", customer.phone, "-c", "whatsapp", "--yes", "--force", "--all")

    assert done.returncode == 0, done.stderr
    assert await kept(system) == {""}


@pytest.mark.processes
async def test_one_of_them_is_erased_under_a_name_of_their_own(system: System, tmp_path: Path) -> None:
    customer = await named_alike(system)

    done = agent(system, tmp_path, "erase", "US.7", "-c", "whatsapp", "--yes", "--force")

    assert done.returncode == 0, done.stderr
    assert await kept(system) == {"private words", ""}
    found = await system.http.get(f"/api/session/{customer.phone}", params={"channel": "whatsapp"})
    assert found.status_code == 200
