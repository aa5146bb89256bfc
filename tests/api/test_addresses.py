"""Addresses as clients write them: names of any shape, a slash at the end, another method, nothing behind them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest

from tests.system_in_process import System, running_system


@pytest.fixture(scope="module")
async def system(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    """One for all: each has a customer of its own."""
    async with running_system(postgres_url, temporal_address) as system:
        yield system


CUSTOMERS = ["org/123", "org/thread", "thread", "a%2Fb", "a%252Fb", "/", "//", "%", "org/", "a b+c?d#e", ".", ".."]


@pytest.mark.parametrize("customer", [*CUSTOMERS, "\u0639/\u06cc"])
async def test_a_customers_id_is_one_part_of_the_path(system: System, customer: str) -> None:
    answered = await system.send("Hello", customer=customer)
    path = f"/api/session/{quote(customer, safe='').replace('.', '%2E')}"

    session = await system.http.get(path)
    thread = await system.http.get(f"{path}/thread")
    replied = await system.http.post(f"{path}/messages", json={"text": "On its way.", "agent_name": "Ann"})

    assert session.json()["customer_id"] == customer
    assert thread.json()["frontend_context_uuid"] == answered.json()["thread"]["frontend_context_uuid"]
    assert replied.status_code == 202


async def test_a_slash_at_the_end_says_nothing(system: System) -> None:
    """To lead elsewhere would name the host and scheme behind the proxy."""
    body = {"customer_id": "c-slash", "text": "Hello"}

    sent = await system.http.post("/api/message/", json=body, headers={"Host": "bot.example.org"})
    read = await system.http.get("/api/session/c-slash/")
    page = await system.http.get("/playground/")

    assert [sent.status_code, read.status_code, page.status_code] == [200, 200, 200]
    assert (await system.http.get("/api/session/")).status_code == 404


@pytest.mark.parametrize("body", [b"", b"{", b'{"customer_id": "c-1"}'])
@pytest.mark.parametrize(
    ("method", "path", "status", "allowed"),
    [
        ("PUT", "/api/message", 405, "POST"),
        ("POST", "/api/drift", 405, "GET, HEAD"),
        ("PATCH", "/api/webhooks/whatsapp", 405, "GET, HEAD, POST"),
        ("POST", "/api/nothing", 404, None),
        ("POST", "/api/session", 404, None),
    ],
)
async def test_an_address_is_judged_before_the_body(
    system: System, method: str, path: str, status: int, allowed: str | None, body: bytes
) -> None:
    refused = await system.http.request(method, path, content=body, headers={"Content-Type": "text/plain"})

    assert (refused.status_code, refused.headers.get("Allow")) == (status, allowed)
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert (allowed or "/docs lists all calls") in refused.json()["detail"]


@pytest.mark.parametrize("path", ["/healthz", "/docs", "/playground", "/api/drift", "/api/session/nobody"])
async def test_head_is_get_without_its_body(system: System, path: str) -> None:
    asked, got = await system.http.head(path), await system.http.get(path)

    assert asked.status_code == got.status_code
    assert asked.headers["Content-Type"] == got.headers["Content-Type"]
    assert asked.content == b""


@pytest.mark.parametrize("path", ["/playground/nothing", "/playground/..%2Fa.css", "/phone/nothing", "/nothing"])
async def test_what_is_not_there_is_404(system: System, path: str) -> None:
    assert (await system.http.get(path)).status_code == 404
