"""Takes a verified form of Twilio apart: one message or one status. Never raises: what it cannot read it keeps.

Source: Twilio, "Messaging webhooks" and "Status callbacks", read 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from integrations.channels.port import MediaRef
from integrations.whatsapp.accounts import TWILIO, account_name
from integrations.whatsapp.descriptions import TEXT_CHARACTERS, UNREADABLE, describe_media
from integrations.whatsapp.incoming import (
    ChannelError,
    DeliveryStatus,
    InboundMessage,
    ParsedBatch,
    StatusUpdate,
)
from integrations.whatsapp.reading import clean, identities, line, number, phone, text, user_id
from integrations.whatsapp.twilio.signature import Form
from schemas.deliveries import Leftover
from schemas.messages import MessageKind

DELIVERY_ID = "delivery_id"
"""The query parameter of our StatusCallback address that brings the delivery id back."""

_STATUSES = {
    "accepted": DeliveryStatus.QUEUED,
    "scheduled": DeliveryStatus.QUEUED,
    "queued": DeliveryStatus.QUEUED,
    "sending": DeliveryStatus.QUEUED,
    "sent": DeliveryStatus.SENT,
    "delivered": DeliveryStatus.DELIVERED,
    "read": DeliveryStatus.READ,
    "failed": DeliveryStatus.FAILED,
    "undelivered": DeliveryStatus.FAILED,
    "canceled": DeliveryStatus.FAILED,
}
_MOST_MEDIA = 10
_KINDS = {
    "image": MessageKind.IMAGE,
    "audio": MessageKind.AUDIO,
    "video": MessageKind.VIDEO,
    "application": MessageKind.DOCUMENT,
    "text": MessageKind.DOCUMENT,
}


def parse_webhook(form: Form, query: Mapping[str, str], received_at: datetime) -> ParsedBatch:
    """The message or status of *form*; *query* is that of the address it was posted to.

    Twilio sends no time, so *received_at* (UTC) is the message's. A doubled parameter counts once, the first time.
    """
    fields: dict[str, str] = clean(dict(reversed(form)))
    found: InboundMessage | StatusUpdate | None
    state = fields.get("MessageStatus") or fields.get("SmsStatus", "")
    if _is_status(fields):
        found = _status(fields, state, query)
        return _batch(found, fields, "a status without our number, its message or a known state")
    found = _message(fields, received_at)
    return _batch(found, fields, "a message without our number, its id or its sender")


def _is_status(fields: dict[str, str]) -> bool:
    """An incoming message carries SmsStatus `received` (and no MessageStatus)."""
    return "MessageStatus" in fields or ("Body" not in fields and fields.get("SmsStatus", "received") != "received")


def _batch(found: InboundMessage | StatusUpdate | None, fields: dict[str, str], why: str) -> ParsedBatch:
    match found:
        case InboundMessage():
            return ParsedBatch(messages=[found])
        case StatusUpdate():
            return ParsedBatch(statuses=[found])
    return ParsedBatch(unreadable=[Leftover(why=why, raw=fields)])


def _address(value: str | None) -> tuple[str | None, str | None]:
    """Phone and user id of `whatsapp:+15551234567` or `whatsapp:US.13491…`."""
    plain = (value or "").removeprefix("whatsapp:").strip()
    return phone(plain), user_id(plain)


def _message(fields: dict[str, str], received_at: datetime) -> InboundMessage | None:
    message_id = text(fields.get("MessageSid") or fields.get("SmsMessageSid"), most=64)
    account, _ = _address(fields.get("To"))
    named = [_address(fields.get(name)) for name in ("From", "WaId", "ExternalUserId")]
    number_, scoped = (next(filter(None, each), None) for each in zip(*named, strict=True))
    known = identities(number_, scoped)
    if not (message_id and account and known):
        return None
    kind, words, media = _content(fields)
    return InboundMessage(
        account=account_name(TWILIO, account),
        channel_message_id=message_id,
        identities=known,
        profile_name=line(fields.get("ProfileName")),
        sent_at=received_at,
        kind=kind,
        text=words,
        choice_id=text(fields.get("ButtonPayload")) or text(fields.get("ListId")),
        reply_to=text(fields.get("OriginalRepliedMessageSid"), most=64),
        media=media,
        raw=dict(fields),
    )


def _content(fields: dict[str, str]) -> tuple[MessageKind, str, list[MediaRef]]:
    body = text(fields.get("Body"), most=TEXT_CHARACTERS)
    media = _media(fields)
    if media:
        kind = _KINDS.get(media[0].mime_type.split("/")[0], MessageKind.DOCUMENT)
        return kind, "\n".join([*(describe_media(kind, each, None) for each in media), *filter(None, [body])]), media
    if "Latitude" in fields and "Longitude" in fields:
        named = (line(fields.get(name)) for name in ("Label", "Address", "Latitude", "Longitude"))
        where = ", ".join(filter(None, named))
        return MessageKind.LOCATION, f"[The customer sent a location: {where}]", []
    if "ButtonPayload" in fields or "ButtonText" in fields:
        return MessageKind.BUTTON, text(fields.get("ButtonText")) or body or "", []
    if "ListId" in fields:
        return MessageKind.LIST, text(fields.get("ListTitle")) or body or "", []
    if body:
        return MessageKind.TEXT, body, []
    return MessageKind.UNKNOWN, UNREADABLE, []


def _media(fields: dict[str, str]) -> list[MediaRef]:
    count = min(number(fields.get("NumMedia")) or 0, _MOST_MEDIA)
    urls = [(index, text(fields.get(f"MediaUrl{index}"), most=2_000)) for index in range(count)]
    return [
        MediaRef(id=url, mime_type=line(fields.get(f"MediaContentType{index}"), most=200) or "application/octet-stream")
        for index, url in urls
        if url
    ]


def _status(fields: dict[str, str], state: str, query: Mapping[str, str]) -> StatusUpdate | None:
    message_id = text(fields.get("MessageSid") or fields.get("SmsSid"), most=64)
    account, _ = _address(fields.get("From"))
    status = _STATUSES.get(state.lower())
    if not (message_id and account and status):
        return None
    code = number(fields.get("ErrorCode"))
    return StatusUpdate(
        account=account_name(TWILIO, account),
        channel_message_id=message_id,
        status=status,
        delivery_id=text(query.get(DELIVERY_ID), most=256),
        identities=identities(*_address(fields.get("To"))),
        errors=[ChannelError(code=code, text=text(fields.get("ErrorMessage")) or "")] if code else [],
        raw=dict(fields),
    )
