"""Signing in with a real browser: what it sends of itself is what our checks want, and its cookie is ours."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.signing_in import LINK_TOKEN, PASSWORD, add_user
from tests.system_in_process import System, running_system

SHOTS = os.environ.get("SHOTS")
"""A folder for pictures of what is tested, to be looked at."""


@pytest.fixture
async def system(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    settings = {"admin_link_token": LINK_TOKEN, "secret_key": "a-secret-key-for-tests"}
    async with running_system(postgres_url, temporal_address, worker=False, **settings) as system:
        await add_user(system)
        yield system


async def shoot(page: Page, name: str) -> None:
    if SHOTS:
        await page.screenshot(path=Path(SHOTS) / f"{name}.png")


async def fill(page: Page, password: str) -> None:
    await page.get_by_label("E-mail").fill("ann@example.org")
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Sign in").click()


async def test_by_the_form_to_the_page_that_was_wanted_and_out_again(system: System, empty_page: Page) -> None:
    page = empty_page
    await page.goto(f"{system.http.base_url}/dashboard/trouble")
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await shoot(page, "sign-in")

    await fill(page, "wrong password")
    await expect(page.get_by_role("alert")).to_have_text("The e-mail address or the password is wrong.")
    await expect(page.get_by_label("E-mail")).to_have_value("ann@example.org")
    await shoot(page, "sign-in-wrong")
    await fill(page, PASSWORD)

    await expect(page.get_by_role("heading", name="Trouble")).to_be_visible()
    await shoot(page, "signed-in")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await page.go_back()
    await page.reload()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


async def test_by_the_link_and_its_button_and_another_session_is_ended(system: System, empty_page: Page) -> None:
    page = empty_page
    await page.goto(f"{system.http.base_url}/dashboard/enter?token={LINK_TOKEN}")
    await shoot(page, "link")

    await page.get_by_role("button", name="Sign in").click()

    await expect(page.get_by_role("heading", name="Conversations")).to_be_visible()
    await page.get_by_role("link", name="the one who started it").click()
    await expect(page.get_by_role("cell", name="this one")).to_be_visible()
    await shoot(page, "sign-ins")


async def test_on_a_phone_in_the_dark(system: System, empty_page: Page) -> None:
    page = empty_page
    await page.emulate_media(color_scheme="dark")
    await page.set_viewport_size({"width": 360, "height": 640})
    await page.goto(f"{system.http.base_url}/dashboard/login")
    await shoot(page, "sign-in-phone")

    await fill(page, PASSWORD)

    await expect(page.get_by_role("heading", name="Conversations")).to_be_visible()
