"""People who sign in to the dashboard of a system under test."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import httpx2

from api.own_pages import TOKEN_HEADER
from config.session_cookies import token_hash
from schemas.access import Role
from storage.users import Users
from tests.support.waiting import LONGEST_SECONDS
from tests.system_in_process import System

PASSWORD = "correct horse battery"
LOGIN = "/dashboard/login"
LINK_TOKEN = "one-time-token-0123456789"


async def add_user(
    system: System, email: str = "ann@example.org", role: Role = Role.ADMIN, teams: Collection[str] = ()
) -> None:
    await Users(system.database).add(email, name="Ann", role=role, password=PASSWORD, actor="test", teams=teams)


@asynccontextmanager
async def signed_in(system: System, email: str = "ann@example.org") -> AsyncIterator[httpx2.AsyncClient]:
    """As after the form, without the time that a password takes; with the token that its pages hold."""
    cookies = system.services.cookies
    token, value = cookies.new("")
    row = await system.database.row("SELECT id FROM users WHERE email = :email", {"email": email})
    assert row
    sessions, told = system.services.user_sessions, {"address": "", "browser": ""}
    await sessions.begin(row["id"], token_hash(token), actor="test", lasts_seconds=3_600, **told)
    async with browser(system) as client:
        client.headers |= {"Cookie": f"session={value}", TOKEN_HEADER: cookies.csrf(token)}
        yield client


@asynccontextmanager
async def browser(system: System, address: str | None = None) -> AsyncIterator[httpx2.AsyncClient]:
    """Cookies of its own, and no key; *address*: as it writes it, for the same server."""
    headers = {"Host": address} if address else {}
    async with httpx2.AsyncClient(base_url=system.http.base_url, headers=headers, timeout=LONGEST_SECONDS) as client:
        yield client


async def log_in(
    client: httpx2.AsyncClient, email: str = "ann@example.org", password: str = PASSWORD, **headers: str
) -> httpx2.Response:
    return await client.post(LOGIN, data={"email": email, "password": password}, headers=headers)


async def form_token(client: httpx2.AsyncClient) -> str:
    """What stands in the forms of whoever is signed in there."""
    page = await client.get("/dashboard/sign-ins")
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found, page.text
    return found[1]
