"""Browsers' calls from pages of other origins: none but those that are allowed."""

from __future__ import annotations

import httpx2
import pytest

from tests.unconnected import calling, unconnected_app

SHOP = "https://shop.example"
ASKED = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization, idempotency-key"}


async def asked(origins: str, method: str, path: str, origin: str, **headers: str) -> httpx2.Response:
    async with calling(await unconnected_app(allowed_origins=origins)) as http:
        return await http.request(method, path, headers={"Origin": origin, **headers})


async def test_by_default_there_are_none() -> None:
    answer = await asked("", "OPTIONS", "/api/message", SHOP, **ASKED)

    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_an_allowed_page_may_call_and_read_a_refusal() -> None:
    origins = f"https://other.example, {SHOP}/"
    before = await asked(origins, "OPTIONS", "/api/message", SHOP, **ASKED)
    called = await asked(origins, "GET", "/api/drift", SHOP)

    assert before.status_code == 200
    assert before.headers["Access-Control-Allow-Origin"] == called.headers["Access-Control-Allow-Origin"] == SHOP
    assert "Idempotency-Key" in before.headers["Access-Control-Allow-Headers"]
    assert "Message-Id" in called.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in called.headers
    assert called.status_code == 401


@pytest.mark.parametrize("origin", ["https://shop.example.evil", "http://shop.example", "null", f"{SHOP}:8443"])
async def test_another_page_may_not(origin: str) -> None:
    for answer in (
        await asked(SHOP, "OPTIONS", "/api/message", origin, **ASKED),
        await asked(SHOP, "GET", "/api/drift", origin),
    ):
        assert "Access-Control-Allow-Origin" not in answer.headers


async def test_pages_of_ours_are_read_by_no_other() -> None:
    assert "Access-Control-Allow-Origin" not in (await asked(SHOP, "GET", "/docs", SHOP)).headers
