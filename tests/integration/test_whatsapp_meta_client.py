"""The adapter of Meta's Cloud API on sockets: what it posts, what comes back, and what each bad day leads to."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from integrations.channels.failures import MediaFailed, MediaFailureKind, SendFailed, SendFailureKind
from integrations.channels.port import Choice, MediaRef, Recipient, Template
from integrations.whatsapp.incoming import DeliveryStatus, StatusUpdate
from integrations.whatsapp.meta.signature import HEADER, is_valid
from integrations.whatsapp.meta.webhook import parse_webhook
from integrations.whatsapp.port import SendRequest
from integrations.whatsapp.standin.account import PHONE_NUMBER_ID
from integrations.whatsapp.standin.chats import StoredFile
from integrations.whatsapp.standin.switches import Switches
from tests.support.clock import now
from tests.support.waiting import until
from tests.whatsapp_servers import APP_SECRET, MetaSide, Webhook, meta_side

PHONE = "15550001111"
USER_ID = "US.13491208655302741918"
REQUEST = SendRequest(
    account=PHONE_NUMBER_ID, recipient=Recipient(phone=PHONE), delivery_id="d-1", reply_to="wamid.theirs"
)


@pytest.fixture
async def side() -> AsyncIterator[MetaSide]:
    async with meta_side(channel_answer_timeout_seconds=1.0, media_bytes=1_000) as side:
        yield side


def statuses(got: list[Webhook]) -> list[StatusUpdate]:
    return [status for each in got for status in parse_webhook(each.body, now()).statuses]


async def failure(side: MetaSide, switches: Switches, request: SendRequest = REQUEST) -> SendFailed:
    side.graph.switches = switches
    with pytest.raises(SendFailed) as failed:
        await side.adapter.send_text(request, "Hello")
    return failed.value


async def test_a_text_as_the_graph_api_wants_it(side: MetaSide) -> None:
    await side.adapter.send_text(REQUEST, "Hello")

    assert side.graph.posted == [
        {
            "account": PHONE_NUMBER_ID,
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": PHONE,
            "type": "text",
            "text": {"body": "Hello", "preview_url": False},
            "context": {"message_id": "wamid.theirs"},
            "biz_opaque_callback_data": "d-1",
        }
    ]


async def test_buttons_and_templates_as_the_graph_api_wants_them(side: MetaSide) -> None:
    await side.adapter.send_buttons(REQUEST, "Shall I?", (Choice(id="yes", title="Yes"),))
    await side.adapter.send_template(REQUEST, Template(name="hello", language="pt_BR", values=("Ann",)))

    buttons, template = side.graph.posted
    assert buttons["interactive"]["action"] == {"buttons": [{"type": "reply", "reply": {"id": "yes", "title": "Yes"}}]}
    assert template["template"] == {
        "name": "hello",
        "language": {"code": "pt_BR"},
        "components": [{"type": "body", "parameters": [{"type": "text", "text": "Ann"}]}],
    }


async def test_a_customer_without_a_number_is_reached_by_id(side: MetaSide) -> None:
    request = REQUEST.model_copy(update={"recipient": Recipient(user_id=USER_ID)})

    await side.adapter.send_text(request, "Hello")
    await side.graph.postman.idle()

    assert side.graph.posted[0]["recipient"] == USER_ID
    assert "to" not in side.graph.posted[0]
    assert {each.identities[0].value for each in statuses(side.receiver.got)} == {USER_ID}


async def test_statuses_come_back_signed_with_our_delivery_id(side: MetaSide) -> None:
    sent = await side.adapter.send_text(REQUEST, "Hello")
    await side.graph.postman.idle()

    found = statuses(side.receiver.got)
    assert [each.status for each in found] == [DeliveryStatus.SENT, DeliveryStatus.DELIVERED, DeliveryStatus.READ]
    assert {(each.delivery_id, each.channel_message_id) for each in found} == {("d-1", sent.channel_message_id)}
    assert all(is_valid(APP_SECRET, each.body, each.headers[HEADER.lower()]) for each in side.receiver.got)


async def test_a_failed_delivery_is_reported_with_its_code(side: MetaSide) -> None:
    side.graph.switches = Switches(failed_delivery=1, failed_code=131049)

    await side.adapter.send_text(REQUEST, "Hello")
    await side.graph.postman.idle()

    last = statuses(side.receiver.got)[-1]
    assert (last.status, last.errors[0].code) == (DeliveryStatus.FAILED, 131049)


@pytest.mark.parametrize(
    ("switches", "kind", "code"),
    [
        (Switches(rate_limited=1), SendFailureKind.RATE_LIMITED, 130429),
        (Switches(pair_limited=1), SendFailureKind.PAIR_LIMITED, 131056),
        (Switches(outside_window=True), SendFailureKind.OUTSIDE_WINDOW, 131047),
        (Switches(fail_before=1), SendFailureKind.TRANSIENT, 131016),
    ],
)
async def test_refusals(side: MetaSide, switches: Switches, kind: SendFailureKind, code: int) -> None:
    failed = await failure(side, switches)

    assert (failed.kind, failed.code) == (kind, code)
    assert side.graph.posted == []


@pytest.mark.parametrize("switches", [Switches(execute_then_drop=1), Switches(stall=1, stall_seconds=3)])
async def test_an_unknown_outcome_is_settled_by_the_status(side: MetaSide, switches: Switches) -> None:
    failed = await failure(side, switches)
    first, *_ = await until("a status", lambda: statuses(side.receiver.got))

    assert failed.kind is SendFailureKind.UNKNOWN
    assert first.delivery_id == "d-1"
    assert len(side.graph.posted) == 1


async def test_a_server_that_is_not_there_was_never_asked() -> None:
    async with meta_side() as side:
        url = side.url
    async with meta_side(whatsapp_graph_url=url) as side:
        with pytest.raises(SendFailed) as failed:
            await side.adapter.send_text(REQUEST, "Hello")

    assert failed.value.kind is SendFailureKind.TRANSIENT


async def test_a_wrong_token_is_ours_and_is_not_shown() -> None:
    async with meta_side(whatsapp_access_token="wrong-secret-token") as side:
        failed = await failure(side, Switches())

    assert (failed.kind, failed.code) == (SendFailureKind.OURS, 190)
    assert "wrong-secret-token" not in str(failed)


@pytest.mark.parametrize("account", ["../evil", "1/2", "a?b", " "])
async def test_an_account_that_is_no_id_never_becomes_an_address(side: MetaSide, account: str) -> None:
    failed = await failure(side, Switches(), REQUEST.model_copy(update={"account": account}))

    assert failed.kind is SendFailureKind.OURS
    assert side.graph.posted == []


async def test_read_and_typing_are_shown_until_the_reply(side: MetaSide) -> None:
    message_id = str(side.graph.chats.add(PHONE, "in", {"type": "text", "text": {"body": "Hi"}}).id)

    await side.adapter.mark_read_and_typing(PHONE_NUMBER_ID, message_id)
    typing = side.graph.chats.is_typing(PHONE)
    await side.adapter.send_text(REQUEST, "Hello")

    assert typing
    assert not side.graph.chats.is_typing(PHONE)
    assert side.graph.chats.since(0)[0].read


@pytest.mark.parametrize(
    ("mime_type", "content", "switches", "problem"),
    [
        ("image/svg+xml", b"<svg/>", Switches(), MediaFailureKind.TYPE_REFUSED),
        ("text/html", b"<html>", Switches(), MediaFailureKind.TYPE_REFUSED),
        ("application/zip", b"PK\x03\x04", Switches(), MediaFailureKind.TYPE_REFUSED),
        ("image/png", b"\n <SVG onload=x>", Switches(), MediaFailureKind.TYPE_REFUSED),
        ("image/jpeg", b"\xef\xbb\xbf<!DOCTYPE html>", Switches(), MediaFailureKind.TYPE_REFUSED),
        ("image/png", b"x" * 1_001, Switches(), MediaFailureKind.TOO_LARGE),
        ("image/png", b"pixels", Switches(wrong_hash=True), MediaFailureKind.WRONG_HASH),
        ("image/png", b"pixels", Switches(media_expired=True), MediaFailureKind.EXPIRED),
    ],
)
async def test_files_that_are_not_taken(
    side: MetaSide, mime_type: str, content: bytes, switches: Switches, problem: MediaFailureKind
) -> None:
    side.graph.chats.files["77"] = StoredFile(mime_type=mime_type, content=content)
    side.graph.switches = switches

    with pytest.raises(MediaFailed) as failed:
        await side.adapter.download(PHONE_NUMBER_ID, MediaRef(id="77"))

    assert failed.value.problem is problem


@pytest.mark.parametrize("media_id", ["../77", "77?x=1", "http://evil.example/", ""])
async def test_a_media_id_never_becomes_another_address(side: MetaSide, media_id: str) -> None:
    with pytest.raises(MediaFailed) as failed:
        await side.adapter.download(PHONE_NUMBER_ID, MediaRef(id=media_id))

    assert failed.value.problem is MediaFailureKind.HOST_REFUSED
