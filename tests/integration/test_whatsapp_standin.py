"""The stand-in behaves like Meta on good and bad days, and shows a page what a customer would see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest

from integrations.channels.failures import SendFailed
from integrations.channels.port import Recipient
from integrations.whatsapp.incoming import InboundMessage
from integrations.whatsapp.meta.signature import HEADER, is_valid
from integrations.whatsapp.meta.webhook import parse_webhook
from integrations.whatsapp.port import SendRequest
from integrations.whatsapp.standin.account import ACCESS_TOKEN, PHONE_NUMBER_ID
from integrations.whatsapp.standin.switches import Switches
from schemas.messages import MessageKind
from tests.support.clock import now
from tests.whatsapp_servers import APP_SECRET, MetaSide, Webhook, meta_side

PHONE = "15550001111"
REQUEST = SendRequest(account=PHONE_NUMBER_ID, recipient=Recipient(phone=PHONE), delivery_id="d-1")


@pytest.fixture
async def side() -> AsyncIterator[MetaSide]:
    async with meta_side(seed=7) as side:
        yield side


@pytest.fixture
async def page(side: MetaSide) -> AsyncIterator[httpx2.AsyncClient]:
    """What a page calls."""
    async with httpx2.AsyncClient(base_url=side.url) as client:
        yield client


def messages(got: list[Webhook]) -> list[InboundMessage]:
    return [message for each in got for message in parse_webhook(each.body, now()).messages]


async def test_what_a_customer_writes_comes_as_a_signed_webhook(side: MetaSide, page: httpx2.AsyncClient) -> None:
    wrote = (await page.post("/standin/send", json={"text": "Hi 😀/", "profile_name": "Ann"})).json()
    await side.graph.postman.idle()

    (webhook,) = side.receiver.got
    (found,) = messages([webhook])
    assert is_valid(APP_SECRET, webhook.body, webhook.headers[HEADER.lower()])
    assert (found.channel_message_id, found.text, found.profile_name) == (wrote["id"], "Hi 😀/", "Ann")
    assert b"\\ud83d" in webhook.body


async def test_any_message_can_be_sent(side: MetaSide, page: httpx2.AsyncClient) -> None:
    raw = {"type": "reaction", "reaction": {"message_id": "wamid.ours", "emoji": "👍"}}

    await page.post("/standin/send", json={"phone": None, "user_id": "US.1", "username": "ann", "message": raw})
    await side.graph.postman.idle()

    (found,) = messages(side.receiver.got)
    assert found.kind is MessageKind.REACTION
    assert [each.value for each in found.identities] == ["US.1"]
    assert found.username == "ann"


async def test_a_page_sees_what_is_new(side: MetaSide, page: httpx2.AsyncClient) -> None:
    await page.post("/standin/send", json={"text": "Hi"})
    before = (await page.get("/standin/messages", params={"since": 0, "phone": PHONE})).json()
    await side.adapter.send_text(REQUEST, "Hello")
    await side.graph.postman.idle()
    after = (await page.get("/standin/messages", params={"since": before["revision"], "phone": PHONE})).json()

    assert [(each["direction"], each["text"]) for each in before["messages"]] == [("in", "Hi")]
    assert [(each["direction"], each["text"], each["status"]) for each in after["messages"]] == [
        ("out", "Hello", "read")
    ]


async def test_switches_are_set_and_read(page: httpx2.AsyncClient) -> None:
    await page.put("/standin/switches", json={"duplicates": 2})
    wrong = await page.put("/standin/switches", json={"duplicates": -1})

    assert (await page.get("/standin/switches")).json()["duplicates"] == 2
    assert wrong.status_code == 422


async def test_duplicates_are_the_same_bytes(side: MetaSide, page: httpx2.AsyncClient) -> None:
    side.graph.switches = Switches(duplicates=2)

    await page.post("/standin/send", json={"text": "Hi"})
    await side.graph.postman.idle()

    assert len(side.receiver.got) == 3
    assert len({each.body for each in side.receiver.got}) == 1


async def test_order_is_kept_unless_disorder_is_wanted(side: MetaSide, page: httpx2.AsyncClient) -> None:
    async def orders() -> list[str]:
        side.receiver.got.clear()
        for n in range(20):
            await page.post("/standin/send", json={"text": f"{n:02}"})
        await side.graph.postman.idle()
        return [each.text for each in messages(side.receiver.got)]

    in_order = await orders()
    side.graph.switches = Switches(disorder_seconds=0.3)
    shuffled = await orders()

    assert in_order == sorted(in_order)
    assert shuffled != sorted(shuffled)
    assert sorted(shuffled) == in_order


async def test_a_webhook_is_posted_again_until_it_is_taken(side: MetaSide, page: httpx2.AsyncClient) -> None:
    side.receiver.answers = [503, 500]

    await page.post("/standin/send", json={"text": "Hi"})
    await side.graph.postman.idle()

    assert len(side.receiver.got) == 3
    assert (side.graph.postman.posted, side.graph.postman.given_up) == (1, 0)


async def test_a_share_of_faults_is_drawn(side: MetaSide) -> None:
    side.graph.switches = Switches(fail_before=0.3, statuses=False)

    outcomes = await asyncio.gather(
        *(side.adapter.send_text(REQUEST, "Hello") for _ in range(100)), return_exceptions=True
    )

    failed = sum(isinstance(each, SendFailed) for each in outcomes)
    assert 15 <= failed <= 45
    assert len(side.graph.posted) == 100 - failed


async def test_a_file_is_uploaded_and_announced(side: MetaSide, page: httpx2.AsyncClient) -> None:
    login = {"Authorization": f"Bearer {ACCESS_TOKEN}"}
    form = {"messaging_product": "whatsapp", "type": "image/png"}

    uploaded = await page.post(
        f"/v25.0/{PHONE_NUMBER_ID}/media", data=form, files={"file": ("a.png", b"pixels", "image/png")}, headers=login
    )
    media = (await page.get(f"/v25.0/{uploaded.json()['id']}", headers=login)).json()

    assert (media["mime_type"], media["file_size"]) == ("image/png", 6)
    assert (await page.get(media["url"])).status_code == 401
    assert (await page.get(media["url"], headers=login)).content == b"pixels"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"to": PHONE, "type": "text", "text": {"body": "x"}}, 100),
        ({"messaging_product": "whatsapp", "type": "text", "text": {"body": "x"}}, 100),
        ({"messaging_product": "whatsapp", "to": PHONE, "type": "text", "text": {"body": "x" * 4_097}}, 100),
        ({"messaging_product": "whatsapp", "to": PHONE, "type": "text", "text": {"body": ""}}, 100),
        ({"messaging_product": "whatsapp", "to": PHONE, "type": "hologram"}, 131009),
        ({"messaging_product": "whatsapp", "to": PHONE, "type": "interactive", "interactive": {}}, 131009),
        ({"messaging_product": "whatsapp", "status": "read", "message_id": "unknown"}, 131009),
    ],
)
async def test_wrong_calls_are_refused_as_meta_does(
    page: httpx2.AsyncClient, body: dict[str, object], code: int
) -> None:
    login = {"Authorization": f"Bearer {ACCESS_TOKEN}"}

    answer = await page.post(f"/v25.0/{PHONE_NUMBER_ID}/messages", json=body, headers=login)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
