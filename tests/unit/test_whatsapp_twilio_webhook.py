"""Twilio's forms: one message or one status each."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from integrations.whatsapp.incoming import DeliveryStatus, InboundMessage, ParsedBatch
from integrations.whatsapp.twilio.webhook import parse_webhook
from schemas.messages import MessageKind

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MESSAGE = {
    "MessageSid": "SM1",
    "SmsStatus": "received",
    "AccountSid": "AC1",
    "From": "whatsapp:+16505551234",
    "To": "whatsapp:+15550783881",
    "Body": "Hello",
    "NumMedia": "0",
    "ProfileName": "Ann",
    "WaId": "16505551234",
}
STATUS = {
    "MessageSid": "SM9",
    "MessageStatus": "delivered",
    "From": "whatsapp:+15550783881",
    "To": "whatsapp:+16505551234",
}


def parse(fields: dict[str, Any], **query: str) -> ParsedBatch:
    return parse_webhook(list(fields.items()), query, NOW)


def one(**more: str) -> InboundMessage:
    (found,) = parse(MESSAGE | more).messages
    return found


def test_a_message() -> None:
    found = one()

    assert (found.account, found.channel_message_id, found.text) == ("twilio:15550783881", "SM1", "Hello")
    assert [(each.kind, each.value) for each in found.identities] == [("phone", "16505551234")]
    assert (found.kind, found.profile_name, found.sent_at) == (MessageKind.TEXT, "Ann", NOW)


@pytest.mark.parametrize(
    ("fields", "kind", "words"),
    [
        ({"ButtonText": "Yes", "ButtonPayload": "p1"}, MessageKind.BUTTON, "Yes"),
        ({"ListTitle": "Red", "ListId": "p1"}, MessageKind.LIST, "Red"),
        ({"Latitude": "5.4", "Longitude": "100.3", "Label": "Pier"}, MessageKind.LOCATION, "Pier, 5.4, 100.3"),
        ({"Body": ""}, MessageKind.UNKNOWN, "cannot be read"),
        ({"NumMedia": "1", "MediaUrl0": "https://a/b", "MediaContentType0": "image/png"}, MessageKind.IMAGE, "\nHello"),
        ({"NumMedia": "1", "MediaUrl0": "https://a/b", "MediaContentType0": "x/y"}, MessageKind.DOCUMENT, "document"),
        ({"NumMedia": "1"}, MessageKind.TEXT, "Hello"),
        ({"NumMedia": "-1"}, MessageKind.TEXT, "Hello"),
        ({"NumMedia": "many"}, MessageKind.TEXT, "Hello"),
    ],
)
def test_kinds_of_messages(fields: dict[str, str], kind: MessageKind, words: str) -> None:
    found = one(**fields)

    assert found.kind is kind
    assert words in found.text


def test_files_are_bounded_references() -> None:
    urls = {f"MediaUrl{n}": f"https://api.twilio.com/{n}" for n in range(30)}

    found = one(NumMedia="999999", MediaContentType0="audio/ogg", **urls)

    assert [each.id for each in found.media] == [f"https://api.twilio.com/{n}" for n in range(10)]


def test_a_customer_with_a_username() -> None:
    found = one(From="whatsapp:US.13491208655302741918", WaId="")

    assert [(each.kind, each.value) for each in found.identities] == [("user_id", "US.13491208655302741918")]


@pytest.mark.parametrize("lost", ["MessageSid", "From", "To"])
def test_a_message_without_what_it_needs_is_kept(lost: str) -> None:
    fields = {name: value for name, value in MESSAGE.items() if name not in (lost, "WaId")}

    batch = parse(fields)

    assert batch.messages == []
    assert batch.unreadable[0].raw == fields


def test_of_a_doubled_parameter_the_first_counts() -> None:
    batch = parse_webhook([*MESSAGE.items(), ("Body", "other")], {}, NOW)

    assert batch.messages[0].text == "Hello"


def test_nul_is_replaced() -> None:
    assert one(Body="a\x00b").text == "a\ufffdb"


def test_an_empty_form_is_unreadable() -> None:
    assert len(parse({}).unreadable) == 1


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("queued", DeliveryStatus.QUEUED),
        ("sent", DeliveryStatus.SENT),
        ("delivered", DeliveryStatus.DELIVERED),
        ("read", DeliveryStatus.READ),
        ("failed", DeliveryStatus.FAILED),
        ("undelivered", DeliveryStatus.FAILED),
    ],
)
def test_a_status_brings_our_delivery_id(state: str, status: DeliveryStatus) -> None:
    (found,) = parse(STATUS | {"MessageStatus": state, "ErrorCode": "63016"}, delivery_id="d-1").statuses

    assert (found.status, found.delivery_id, found.account) == (status, "d-1", "twilio:15550783881")
    assert found.errors[0].code == 63016
    assert found.identities[0].value == "16505551234"


def test_an_unknown_status_is_kept() -> None:
    batch = parse(STATUS | {"MessageStatus": "teleported"})

    assert batch.statuses == []
    assert batch.unreadable[0].raw["MessageStatus"] == "teleported"
