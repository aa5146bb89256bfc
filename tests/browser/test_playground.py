"""A newcomer in a real browser: talks to the bot, sees what happened, and nothing that is written can run."""

from __future__ import annotations

import json

import pytest
from playwright.async_api import Page, Route, expect

from schemas.actions import AssistantActions, Confirmation
from schemas.assistants import AssistantConfig
from tests.browser.keys import SAFARI_ENTER, send_nothing_by
from tests.support.shop import output
from tests.system_in_process import KEY, System


@pytest.fixture
async def page(system: System, empty_page: Page) -> Page:
    """The playground as the printed address opens it."""
    await empty_page.goto(f"{system.http.base_url}/playground#key={KEY}")
    return empty_page


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
    await expect(answer.first).to_contain_text("It is urgent")
    await expect(page.locator("#state")).to_have_text("bot")
    await expect(answer).to_have_count(1)  # where the other message's is still coming, once it has come
    assert len(system.perplexity.prompts) == 2


async def test_a_question_that_expires_is_seen_to_be_over(system: System, page: Page) -> None:
    actions = AssistantActions(confirmations={"create_ticket": Confirmation.CUSTOMER}, confirmation_seconds=2)
    await system.services.configurations.apply("default", AssistantConfig(actions=actions), "test")
    system.perplexity.scripts.append(output("create_ticket", subject="Lamp", description="Broken"))

    await say(page, "My lamp broke")
    await expect(page.locator("#messages")).to_contain_text("Shall I open a ticket for you?")

    await expect(page.locator("#messages .note", has_text="The question has expired")).to_have_count(1)
    await expect(page.locator("#state")).to_have_text("bot")
    await expect(page.locator("#session")).not_to_contain_text("create_ticket")


async def test_markdown_is_shown_as_it_is_meant(system: System, page: Page) -> None:
    system.perplexity.scripts.append("We open at **9 h**, *always* and `**here**`; 2*3*4.\n- one\n- ~~two~~")

    await say(page, "When?")

    answer = page.locator("#messages > li:not(.mine):not(.note)")
    await expect(answer).to_have_text("We open at 9 h, always and **here**; 2*3*4.onetwo")
    for tag, text in (("strong", "9 h"), ("em", "always"), ("code", "**here**"), ("s", "two")):
        await expect(answer.locator(tag)).to_have_text(text)


async def test_sources_are_a_list_and_no_bubbles(page: Page) -> None:
    source = {"n": 1, "title": "Hours", "url": "https://shop.example/hours"}
    turn = {"turn_id": "t", "state": "bot", "reply": {"text": "We open at 9 h.[1]", "sources": [source]}}
    await page.route("**/api/message", lambda route: route.fulfill(json=turn))
    await page.get_by_label("as it is written").set_checked(False)

    await say(page, "When?")

    entry = page.locator("#messages .sources li")
    await expect(entry).to_have_text("Hours")
    assert await entry.evaluate("node => getComputedStyle(node).borderTopWidth") == "0px"


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


STOPPING = {"title": "Service Unavailable", "status": 503, "detail": "This API process is stopping."}


def posts(page: Page, path: str) -> list[dict[str, str]]:
    """The bodies that the page posts there, from now on."""
    sent: list[dict[str, str]] = []
    page.on("request", lambda asked: sent.append(json.loads(asked.post_data)) if asked.url.endswith(path) else None)
    return sent


@pytest.mark.parametrize("streaming", [True, False])
async def test_send_again_sends_what_failed(system: System, page: Page, streaming: bool) -> None:
    path = "/api/query_async" if streaming else "/api/message"
    sent = posts(page, path)
    await page.get_by_label("as it is written").set_checked(streaming)
    await say(page, "Hello there")
    await expect(page.locator("#messages")).to_contain_text("You said: Hello there")
    await page.route(f"**{path}", lambda route: route.abort())
    await say(page, "Where are you?")
    await expect(page.locator("#messages .bad")).to_contain_text("“Send again” sends it under the same message_id")
    await page.unroute(f"**{path}")

    await page.get_by_role("button", name="Send again").click()

    await expect(page.locator("#messages")).to_contain_text("You said: Where are you?")
    assert len({each["message_id"] for each in sent if each["text"] == "Where are you?"}) == 1
    assert len(system.perplexity.prompts) == 2


async def test_an_error_that_passes_is_tried_again(system: System, page: Page) -> None:
    told = iter([f"event: error\nid: x-1-0.error\ndata: {json.dumps(STOPPING)}\n\n"])

    async def stopping_once(route: Route) -> None:
        if (body := next(told, None)) is None:
            await route.continue_()
        else:
            await route.fulfill(body=body, content_type="text/event-stream")

    await page.route("**/api/query_async", stopping_once)

    await say(page, "Hello there")

    await expect(page.locator("#messages")).to_contain_text("You said: Hello there")
    await expect(page.locator("#messages .bad")).to_have_count(0)


async def test_a_page_that_is_loaded_anew_offers_it(system: System, page: Page) -> None:
    await page.route("**/api/query_async", lambda route: route.abort())
    await say(page, "Where are you?")
    await page.unroute("**/api/query_async")

    await page.reload()
    await page.get_by_role("button", name="Send again").click()

    await expect(page.locator("#messages")).to_contain_text("You said: Where are you?")
    assert len(system.perplexity.prompts) == 1


async def test_what_is_refused_is_back_in_the_box(page: Page) -> None:
    await page.get_by_label("API key").fill("wrong")

    await say(page, "Hello")

    await expect(page.get_by_label("Your message")).to_have_value("Hello")


async def test_an_enter_that_ends_a_word_of_an_input_method_sends_nothing(page: Page) -> None:
    await send_nothing_by(SAFARI_ENTER, page, "Your message")
