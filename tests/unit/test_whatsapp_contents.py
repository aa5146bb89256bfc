"""Each type of message that Meta sends becomes a kind and words that the model can read."""

from __future__ import annotations

from typing import Any

import pytest

from integrations.channels.port import MediaRef
from integrations.whatsapp.incoming import CUSTOMER_SPEAKS
from schemas.messages import CustomerIdentity, MessageKind
from tests.whatsapp_bodies import NOW, PHONE, USER_ID, message, parse, parse_one, payload

TYPES: list[tuple[dict[str, Any], MessageKind, str]] = [
    ({"type": "text", "text": {"body": " Hi\nthere "}}, MessageKind.TEXT, " Hi\nthere "),
    ({"type": "button", "button": {"payload": "p1", "text": "Yes"}}, MessageKind.BUTTON, "Yes"),
    (
        {"type": "interactive", "interactive": {"type": "button_reply", "button_reply": {"id": "p1", "title": "No"}}},
        MessageKind.BUTTON,
        "No",
    ),
    (
        {
            "type": "interactive",
            "interactive": {"type": "list_reply", "list_reply": {"id": "p1", "title": "Red", "description": "dark"}},
        },
        MessageKind.LIST,
        "Red (dark)",
    ),
    (
        {"type": "interactive", "interactive": {"type": "nfm_reply", "nfm_reply": {"response_json": '{"size":"M"}'}}},
        MessageKind.FORM,
        'filled in a form.] {"size":"M"}',
    ),
    ({"type": "reaction", "reaction": {"message_id": "wamid.0", "emoji": "👍"}}, MessageKind.REACTION, "with 👍"),
    ({"type": "reaction", "reaction": {"message_id": "wamid.0"}}, MessageKind.REACTION, "took a reaction back"),
    (
        {"type": "image", "image": {"id": "9", "caption": "my roof"}},
        MessageKind.IMAGE,
        "for that is not known yet.]\nmy roof",
    ),
    ({"type": "audio", "audio": {"id": "9", "voice": True}}, MessageKind.AUDIO, "a voice message"),
    ({"type": "audio", "audio": {"id": "9", "voice": False}}, MessageKind.AUDIO, "an audio file"),
    ({"type": "video", "video": {"id": "9"}}, MessageKind.VIDEO, "a video"),
    ({"type": "sticker", "sticker": {"id": "9", "animated": True}}, MessageKind.STICKER, "a sticker"),
    ({"type": "document", "document": {"id": "9", "filename": "a.pdf"}}, MessageKind.DOCUMENT, "named “a.pdf”"),
    (
        {"type": "location", "location": {"latitude": 5.41, "longitude": 100.33, "name": "Pier"}},
        MessageKind.LOCATION,
        "Pier, 5.41, 100.33",
    ),
    (
        {"type": "contacts", "contacts": [{"name": {"formatted_name": "Ann"}, "phones": [{"phone": "+1 555"}]}]},
        MessageKind.CONTACTS,
        "Ann (+1 555)",
    ),
    (
        {
            "type": "order",
            "order": {
                "text": "by Friday",
                "product_items": [
                    {"product_retailer_id": "sku-1", "quantity": 2, "item_price": 9.5, "currency": "MYR"}
                ],
            },
        },
        MessageKind.ORDER,
        "2 × sku-1 at 9.5 MYR]\nby Friday",
    ),
    ({"type": "request_welcome"}, MessageKind.WELCOME, "opened the chat"),
    ({"type": "unsupported", "errors": [{"code": 131051}]}, MessageKind.UNSUPPORTED, "does not pass on"),
    ({"type": "hologram", "hologram": {"id": "9"}}, MessageKind.UNKNOWN, "cannot be read"),
    ({"type": "revoke", "revoke": {"original_message_id": "wamid.0"}}, MessageKind.DELETE, "deleted a message"),
    (
        {
            "type": "edit",
            "edit": {"original_message_id": "wamid.0", "message": {"type": "text", "text": {"body": "Hello!"}}},
        },
        MessageKind.EDIT,
        "Hello!",
    ),
]


@pytest.mark.parametrize(("fields", "kind", "words"), TYPES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_type_of_message_is_read(fields: dict[str, Any], kind: MessageKind, words: str) -> None:
    found = parse_one(message(text=None) | fields)

    assert found.kind is kind
    assert words in found.text
    assert found.raw["type"] == fields["type"]


@pytest.mark.parametrize("kind", sorted({each[0]["type"] for each in TYPES} - {"request_welcome"}))
@pytest.mark.parametrize("content", [None, [], "text", 7, {}, {"id": None, "body": None}, [None]])
def test_a_type_without_its_content_is_kept(kind: str, content: Any) -> None:
    found = parse_one(message(text=None, type=kind) | {kind: content})

    assert found.kind in {MessageKind.UNKNOWN, *(each for fields, each, _ in TYPES if fields["type"] == kind)}
    assert found.text
    assert found.raw[kind] == content


def test_a_choice_brings_our_id_back() -> None:
    reply = {"type": "button_reply", "button_reply": {"id": "confirm-1", "title": "Yes"}}

    found = parse_one(message(type="interactive", interactive=reply, context={"id": "wamid.ours", "from": "1"}))

    assert (found.choice_id, found.reply_to) == ("confirm-1", "wamid.ours")


@pytest.mark.parametrize("kind", ["reaction", "edit", "revoke"])
def test_what_changes_another_message_names_it(kind: str) -> None:
    name = "message_id" if kind == "reaction" else "original_message_id"

    found = parse_one(message(type=kind) | {kind: {name: "wamid.0"}})

    assert found.concerns == "wamid.0"
    assert found.kind not in CUSTOMER_SPEAKS


def test_a_file_is_kept_by_reference_under_a_harmless_name() -> None:
    document = {"id": "77", "mime_type": "application/pdf", "sha256": "q83v", "filename": "..\\..//etc/\u202efdp.exe\n"}

    found = parse_one(message(type="document", document=document))

    assert found.media == [MediaRef(id="77", mime_type="application/pdf", sha256="q83v", filename="fdp.exe")]


def test_a_changed_number_tells_the_old_and_the_new() -> None:
    system = {"type": "user_changed_number", "body": "A changed", "wa_id": "16505559999", "user_id": "US.2"}

    found = parse_one(message(type="system", system=system, from_user_id=USER_ID))

    assert found.kind is MessageKind.SYSTEM
    assert [each.value for each in found.identities] == [PHONE, USER_ID]
    assert found.new_identities == [
        CustomerIdentity(kind="phone", value="16505559999"),
        CustomerIdentity(kind="user_id", value="US.2"),
    ]


def test_an_advertisement_is_mentioned() -> None:
    found = parse_one(message(referral={"headline": "Solar sale", "source_url": "https://fb.me/1"}))

    assert found.text == "Hello\n[The customer came from the advertisement “Solar sale”.]"


def test_an_edit_within_an_edit_is_not_followed() -> None:
    deep: dict[str, Any] = {"type": "text", "text": {"body": "x"}}
    for _ in range(20):
        deep = {"type": "edit", "edit": {"original_message_id": "wamid.0", "message": deep}}

    found = parse_one(message() | deep)

    assert found.kind is MessageKind.EDIT
    assert "cannot be read" in found.text


def test_an_echo_is_the_staffs_word_to_the_customer() -> None:
    echo = message(to=PHONE, text={"body": "We call you"}) | {"from": "15550783881"}
    body = payload(message_echoes=[echo])
    body["entry"][0]["changes"][0]["field"] = "smb_message_echoes"

    (found,) = parse(body).messages

    assert found.kind is MessageKind.ECHO
    assert found.text == "We call you"
    assert found.identities == [CustomerIdentity(kind="phone", value=PHONE)]
    assert found.sent_at == NOW
