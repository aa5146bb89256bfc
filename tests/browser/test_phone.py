"""The phone in a real browser: the chat, as the customer sees it, over the real webhook and the real sending code."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx2
import pytest
from fastapi import FastAPI
from playwright.async_api import Page, Route, expect

from dashboard.phone import phone
from integrations.whatsapp.configuration import meta_from
from integrations.whatsapp.standin.account import ACCESS_TOKEN, PHONE_NUMBER_ID
from integrations.whatsapp.standin.serve import create_standin
from tests.browser.keys import SAFARI_ENTER, send_nothing_by
from tests.support import clock
from tests.system_in_process import System, free_address, running_system
from tests.whatsapp_customer import APP_SECRET, SETTINGS
from tests.whatsapp_servers import serving


@dataclass
class Trying:
    system: System
    page: Page
    standin: str


@pytest.fixture
async def started(postgres_url: str, temporal_address: str) -> AsyncIterator[Trying]:
    """The system, with the stand-in in the place of Meta's service."""
    address = free_address()
    async with serving(create_standin(f"{address}/api/webhooks/whatsapp", APP_SECRET, now=clock.now)) as standin:
        account = {"whatsapp_access_token": ACCESS_TOKEN, "whatsapp_phone_number_id": PHONE_NUMBER_ID}
        settings = {**SETTINGS, **account, "whatsapp_graph_url": standin, "whatsapp_standin_url": standin}
        async with running_system(postgres_url, temporal_address, address=address, adapter=meta_from, **settings) as up:
            yield Trying(up, None, standin)  # type: ignore[arg-type]


@pytest.fixture
async def trying(started: Trying, empty_page: Page) -> Trying:
    """The same, with the phone open."""
    started.page = empty_page
    await empty_page.goto(f"{started.system.http.base_url}/phone")
    return started


async def _say(page: Page, text: str) -> None:
    await page.get_by_label("Message", exact=True).fill(text)
    await page.get_by_role("button", name="Send", exact=True).click()


async def test_a_message_is_answered_with_ticks_and_formatting(trying: Trying) -> None:
    trying.system.perplexity.scripts.append("**Yes**, <b>we</b> do:\n\n- by post\n- by bike")

    await _say(trying.page, "Do you deliver?")

    reply = trying.page.locator("#chat li.theirs").first
    await expect(reply.locator("strong")).to_have_text("Yes")
    await expect(reply.locator("ul li")).to_have_count(2)
    await expect(reply.locator("b")).to_have_count(0)
    await expect(trying.page.locator("#chat li.mine .ticks.read")).to_have_count(1)
    await expect(trying.page.locator("#posted li").first).to_contain_text("biz_opaque_callback_data")


async def test_every_webhook_twice_makes_one_reply(trying: Trying) -> None:
    await trying.page.get_by_label("every webhook twice").check()

    await trying.page.get_by_title("Three short messages in a row").click()
    await expect(trying.page.locator("#chat li.theirs").last).to_contain_text("still has not come")

    stored = await trying.system.database.row("SELECT count(*) AS n FROM messages WHERE direction = 'in'")
    assert stored is not None
    assert stored["n"] == 3


async def test_a_failed_delivery_shows(trying: Trying) -> None:
    await trying.page.get_by_label("deliveries fail").check()

    await _say(trying.page, "Hello")

    await expect(trying.page.locator("#chat li.theirs .ticks.failed")).to_have_count(1)


async def test_a_photo_and_a_customer_without_a_number(trying: Trying) -> None:
    await trying.page.get_by_label("Whose phone").select_option(label="@chen, no number")

    await trying.page.get_by_title("A photo").click()

    await expect(trying.page.locator("#chat li.theirs").first).to_contain_text("which you cannot open")
    files = await trying.system.database.rows("SELECT mime_type FROM media")
    assert [row["mime_type"] for row in files] == ["image/png"]


async def test_without_a_stand_in_there_is_no_phone(system: System) -> None:
    for path in ("/phone", "/phone/phone.js", "/phone/api/messages"):
        assert (await system.http.get(path)).status_code == 404


@pytest.mark.parametrize("change", [{"whatsapp_phone": False}, {"whatsapp_graph_url": "https://graph.example"}])
async def test_a_real_account_has_no_phone(started: Trying, change: dict[str, object]) -> None:
    app = FastAPI()
    app.include_router(phone(started.system.settings.model_copy(update=change)))

    async with serving(app) as address, httpx2.AsyncClient() as http:
        assert (await http.get(f"{address}/phone")).status_code == 404


async def test_another_sites_page_may_not_write_and_only_known_calls_pass(started: Trying) -> None:
    url = f"{started.system.http.base_url}/phone/api"
    async with httpx2.AsyncClient() as http:
        foreign = await http.post(f"{url}/send", json={"text": "x"}, headers={"Sec-Fetch-Site": "cross-site"})
        unknown = await http.get(f"{url}/posted")
        wrong = await http.post(f"{url}/messages", json={})

    assert (foreign.status_code, unknown.status_code, wrong.status_code) == (403, 404, 404)


async def test_a_stand_in_that_is_gone_is_said_so(started: Trying) -> None:
    nowhere = {"whatsapp_standin_url": "http://127.0.0.1:1", "whatsapp_graph_url": "http://127.0.0.1:1"}
    settings = started.system.settings.model_copy(update=nowhere)
    app = FastAPI()
    app.include_router(phone(settings))

    async with serving(app) as address, httpx2.AsyncClient() as http:
        assert (await http.get(f"{address}/phone/api/messages")).status_code == 502


async def test_what_may_not_have_arrived_is_sent_again_under_its_own_id(trying: Trying) -> None:
    sent: list[str] = []

    async def lost(route: Route) -> None:
        """It arrives, and its answer does not."""
        sent.append(route.request.post_data_json["id"])
        await route.fetch()
        await route.abort()

    await trying.page.route("**/phone/api/send", lost)
    box = trying.page.get_by_label("Message", exact=True)
    button = trying.page.get_by_role("button", name="Send", exact=True)
    await box.fill("Do you deliver?")
    await button.click()
    await expect(box).to_have_value("Do you deliver?")
    await trying.page.unroute("**/phone/api/send")
    trying.page.on("request", lambda asked: sent.append(asked.post_data_json["id"]) if asked.post_data else None)

    await button.click()

    await expect(box).to_have_value("")
    await expect(trying.page.locator("#chat li.theirs")).to_have_count(1)
    assert len(sent) == 2
    assert len(set(sent)) == 1
    assert len(trying.system.perplexity.prompts) == 1


async def test_an_enter_that_ends_a_word_of_an_input_method_sends_nothing(trying: Trying) -> None:
    await send_nothing_by(SAFARI_ENTER, trying.page, "Message")
