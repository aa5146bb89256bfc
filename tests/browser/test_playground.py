"""A newcomer in a real browser: talks to the bot, sees what happened, and nothing that is written can run."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, async_playwright, expect

from tests.system_in_process import KEY, System

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
async def page(system: System) -> AsyncIterator[Page]:
    """The playground as the printed address opens it."""
    chromium = shutil.which("chromium")
    assert chromium, "Debian's chromium is needed: apt-get install chromium"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = await browser.new_page()
        await page.goto(f"{system.http.base_url}/playground#key={KEY}")
        yield page
        await browser.close()


async def test_the_apis_pages_need_nobody_elses_servers(system: System, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    await page.goto(f"{system.http.base_url}/docs")
    await expect(page.locator("#swagger-ui")).to_contain_text("Send a message, wait for its answer")

    assert [url for url in asked if not url.startswith((str(system.http.base_url), "data:"))] == []


async def say(page: Page, text: str) -> None:
    await page.get_by_label("Your message").fill(text)
    await page.get_by_role("button", name="Send", exact=True).click()


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_newcomer_gets_an_answer_and_sees_what_happened(system: System, page: Page, streaming: bool) -> None:
    await page.get_by_label("as it is written").set_checked(streaming)

    await say(page, "Hello there")

    await expect(page.locator("#messages")).to_contain_text("You said: Hello there")
    await expect(page.locator("#attempts")).to_contain_text("You said: Hello there")
    await expect(page.locator("#state")).to_have_text("bot")
    asked = system.perplexity.prompts[0].frontend_context_uuid
    await expect(page.locator("#session")).to_contain_text(asked)


async def test_the_same_message_again_is_asked_once(system: System, page: Page) -> None:
    await say(page, "Hello there")
    await expect(page.get_by_role("button", name="Send again")).to_be_enabled()

    await page.get_by_role("button", name="Send again").click()

    await expect(page.locator("#messages li", has_text="You said: Hello there")).to_have_count(2)
    assert len(system.perplexity.prompts) == 1


async def set_state(system: System, customer: str, state: str) -> None:
    body = {"state": state, "reason": "a test"}
    (await system.http.post(f"/api/session/{customer}/state", json=body)).raise_for_status()


@pytest.mark.parametrize("streaming", [True, False])
async def test_what_a_human_had_is_answered_after_the_release(system: System, page: Page, streaming: bool) -> None:
    """Whoever releases it."""
    await page.get_by_label("as it is written").set_checked(streaming)
    await say(page, "Hello there")
    await expect(page.locator("#messages")).to_contain_text("You said: Hello there")
    customer = await page.get_by_label("customer_id").input_value()
    await set_state(system, customer, "human_handoff")
    for text in ("Anybody?", "It is urgent"):
        await say(page, text)
        await expect(page.get_by_role("button", name="Send", exact=True)).to_be_enabled()

    await set_state(system, customer, "bot")

    answer = page.locator("#messages li", has_text="You said: Anybody?")
    await expect(answer).to_contain_text("It is urgent")
    await expect(page.locator("#state")).to_have_text("bot")
    await expect(answer).to_have_count(1)
    assert len(system.perplexity.prompts) == 2


async def test_words_never_become_markup(system: System, page: Page) -> None:
    hostile = '<img src=x onerror="document.title=\'broken\'"> <script>document.title="broken"</script>'
    system.perplexity.scripts.append(hostile)

    await say(page, hostile)

    await expect(page.locator("#messages li:not(.mine):not(.note)")).to_have_text(hostile)
    assert await page.locator("#messages img, #messages script").count() == 0
    assert await page.title() == "Playground · Perplexity Agent"


async def test_the_key_leaves_the_address_bar_and_a_wrong_one_is_explained(page: Page) -> None:
    assert "key=" not in page.url
    await page.get_by_label("API key").fill("wrong")

    await say(page, "Hello")

    await expect(page.locator("#messages .bad")).to_contain_text("Send a valid API key")


async def test_it_fits_a_phone(page: Page) -> None:
    await page.set_viewport_size({"width": 360, "height": 740})

    assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
