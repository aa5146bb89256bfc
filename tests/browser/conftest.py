"""One browser for a module's tests, a profile of its own for each of them."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

PAGE_SECONDS = 30
"""How long a page may take: much longer than it does, for machines are busy."""

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

expect.set_options(timeout=PAGE_SECONDS * 1_000)


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    chromium = shutil.which("chromium")
    assert chromium, "Debian's chromium is needed: apt-get install chromium"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest.fixture
async def empty_page(browser: Browser) -> AsyncIterator[Page]:
    """Nothing is kept from another test: no storage, no cache, no connection."""
    profile = await browser.new_context()
    yield await profile.new_page()
    await profile.close()
