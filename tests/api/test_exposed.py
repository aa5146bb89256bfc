"""What strangers may see where they can reach us: a bare status, from a value that is kept, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from api.access import ACCESS
from config.exposure import is_exposed
from config.settings import Settings
from schemas.access import Scope
from storage.api_keys import ApiKeys
from tests.signing_in import add_user, browser, signed_in
from tests.system_in_process import System, running_system

TOKEN = "a-token-for-prometheus-0123456789"
INSIDE = [path for (method, path), row in ACCESS.items() if row.inside and method == "GET" and "{" not in path]
PHONE = {"whatsapp_standin_url": "http://127.0.0.1:9", "whatsapp_graph_url": "http://127.0.0.1:9"}
LOW = "a-key-that-may-nearly-nothing"


@pytest.mark.parametrize(
    ("settings", "exposed"),
    [
        ({}, False),
        ({"host": "::1"}, False),
        ({"host": "localhost"}, False),
        ({"host": "0.0.0.0"}, True),
        ({"host": "192.0.2.7"}, True),
        ({"public_url": "https://bot.example.org"}, True),
    ],
)
def test_it_is_told_by_the_settings_alone(settings: dict[str, Any], exposed: bool) -> None:
    assert is_exposed(Settings(_env_file=None, **settings)) is exposed  # type: ignore[call-arg]


@pytest.fixture(scope="module")
async def exposed(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    settings = {"public_url": "https://bot.example.org", "metrics_token": TOKEN, **PHONE}
    async with running_system(postgres_url, temporal_address, worker=False, **settings) as system:
        await ApiKeys(system.database).add("low", LOW, scopes=[Scope.VOUCH], actor="test")
        await add_user(system)
        yield system


@pytest.fixture
async def stranger(exposed: System) -> AsyncIterator[httpx2.AsyncClient]:
    async with browser(exposed) as client:
        yield client


@pytest.mark.parametrize("path", INSIDE)
async def test_strangers_are_shut_out_and_others_let_in(
    exposed: System, stranger: httpx2.AsyncClient, path: str
) -> None:
    shut_out = [
        await stranger.get(path),
        await stranger.get(path, headers={"Authorization": "Bearer guessed-0123456789"}),
        await stranger.get(path, headers={"X-Forwarded-For": "127.0.0.1", "Host": "127.0.0.1"}),
        await stranger.get(path, headers={"Cookie": "session=forged.forged"}),
    ]
    let_in = [await stranger.get(path, headers={"Authorization": f"Bearer {key}"}) for key in (TOKEN, LOW)]
    async with signed_in(exposed) as person:
        let_in.append(await person.get(path))
        page = await stranger.get(path, headers={"Accept": "text/html"})

    assert [each.status_code for each in shut_out] == [401] * 4
    assert [each.status_code for each in let_in] == [200] * 3
    assert (page.status_code, page.headers["Location"]) == (303, f"/dashboard/login?next={path}")


async def test_strangers_are_told_a_bare_status(exposed: System, stranger: httpx2.AsyncClient) -> None:
    told = [(await stranger.get(path)).json() for path in ("/healthz", "/readyz", "/readyz?for=store")]
    unable = await stranger.get("/readyz?for=answer")
    all_of_it = await stranger.get("/readyz?for=answer", headers={"Authorization": f"Bearer {TOKEN}"})

    assert told == [{"status": "ok"}] * 3
    assert (unable.status_code, unable.json()) == (503, {"status": "unavailable"})
    assert (all_of_it.status_code, "No worker" in all_of_it.text) == (503, True)


async def test_a_flood_of_strangers_costs_nothing(exposed: System, stranger: httpx2.AsyncClient) -> None:
    await stranger.get("/readyz")
    exposed.statements.clear()

    await asyncio.gather(*(stranger.get(path) for path in ["/healthz", "/readyz", "/metrics", *INSIDE] * 20))

    assert len(exposed.statements) <= 20, "a look of /readyz at most each 0.1 s, and none for each who asks"


def test_no_setting_lets_the_status_be_older_than_a_second() -> None:
    with pytest.raises(ValueError, match="less than or equal to 1"):
        Settings(_env_file=None, readiness_cache_seconds=1.1)  # type: ignore[call-arg]


@pytest.fixture
async def alone(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    async with running_system(postgres_url, temporal_address, worker=False, **PHONE) as system:
        yield system


async def test_on_a_machine_of_ones_own_all_of_it_is_open(alone: System) -> None:
    async with browser(alone) as anybody:
        seen = {path: (await anybody.get(path)).status_code for path in INSIDE}
        details = (await anybody.get("/readyz")).json()

    assert seen == dict.fromkeys(INSIDE, 200)
    assert "missing" in details


async def test_metrics_count_waiting_messages_once_for_all_who_ask(alone: System) -> None:
    await alone.http.get("/healthz")
    alone.statements.clear()

    await asyncio.gather(*(alone.http.get("/metrics") for _ in range(30)))

    assert len(alone.statements) <= 3


async def test_another_sites_page_writes_nothing_on_the_phone(alone: System) -> None:
    forged = await alone.http.post("/phone/api/send", json={}, headers={"Origin": "https://evil.example"})

    assert forged.status_code == 403


async def test_the_wrapper_is_asked_who_it_is_once_for_all_who_look(postgres_url: str, temporal_address: str) -> None:
    asked = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nSIMULATOR")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as wrapper:
        url = f"http://127.0.0.1:{wrapper.sockets[0].getsockname()[1]}"
        system = running_system(postgres_url, temporal_address, worker=False, perplexity_base_url=url)
        async with system as looked_at:
            told = await asyncio.gather(*(looked_at.http.get("/playground/about") for _ in range(30)))

    assert {each.json()["simulator"] for each in told} == {True}
    assert len(asked) == 1
