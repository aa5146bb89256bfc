"""The printed address: a page for people, a problem that names the docs for programs."""

from __future__ import annotations

import httpx2
import pytest
from fastapi import FastAPI

from api.routes.root import root
from config.settings import Settings
from dashboard.playground import playground

OF_A_BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


async def asked(method: str, headers: dict[str, str], *, with_playground: bool = True) -> httpx2.Response:
    pages = [playground(Settings(_env_file=None))] if with_playground else []  # type: ignore[call-arg]
    app = FastAPI()
    app.include_router(root(pages))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://bot.example") as http:
        return await http.request(method, "/", headers=headers)


@pytest.mark.parametrize(("with_playground", "start"), [(True, "/playground"), (False, "/docs")])
async def test_a_browser_is_led_to_a_page(with_playground: bool, start: str) -> None:
    answer = await asked("GET", OF_A_BROWSER, with_playground=with_playground)

    assert (answer.status_code, answer.headers["Location"]) == (303, start)


@pytest.mark.parametrize(
    ("method", "headers"),
    [("GET", {}), ("GET", {"Accept": "application/json"}), ("POST", {}), ("POST", OF_A_BROWSER)],
)
async def test_a_program_is_told_where_the_calls_are_listed(method: str, headers: dict[str, str]) -> None:
    answer = await asked(method, headers)

    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")
    assert "/docs" in answer.json()["detail"]
