"""Takes the body of a verified call of Meta's webhook apart. Never raises: what it cannot read it keeps.

Up to 1,000 updates come in one body, so each message and status is read by itself, and one that is malformed costs
nothing but itself. Source: Meta, "Webhooks reference", read 2026-11.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from integrations.whatsapp.incoming import (
    ChannelError,
    DeliveryStatus,
    InboundMessage,
    ParsedBatch,
    StatusUpdate,
)
from integrations.whatsapp.meta.contents import read_content
from integrations.whatsapp.reading import (
    clean,
    identities,
    items,
    line,
    mapping,
    moment,
    number,
    objects,
    phone,
    text,
    user_id,
)
from schemas.deliveries import Leftover
from schemas.messages import MessageKind

_KNOWN_VALUE_KEYS = {"messaging_product", "metadata", "contacts", "messages", "message_echoes", "statuses", "errors"}
_STATUSES = {status.value: status for status in DeliveryStatus} | {
    "played": DeliveryStatus.READ,  # a voice message was listened to
    "accepted": DeliveryStatus.QUEUED,
    "warning": DeliveryStatus.QUEUED,
}
_RAW_CHARACTERS = 20_000
_LONGEST_NUMBER = 500


def parse_webhook(body: bytes, received_at: datetime) -> ParsedBatch:
    """Everything in *body*, in its order. *received_at* (UTC) replaces timestamps that lie in the future.

    A body that is not JSON at all gives a batch with one `unreadable`: it is signed, so a refusal would only make Meta
    send it again for a week.
    """
    try:
        payload = clean(json.loads(body.decode(), parse_constant=_nothing, parse_int=_whole_number))
    except (ValueError, RecursionError) as error:
        why = f"the body is not JSON ({type(error).__name__})"
        return ParsedBatch(unreadable=[Leftover(why=why, raw=_excerpt(body))])
    batch = ParsedBatch()
    if mapping(payload).get("object") != "whatsapp_business_account" or not items(payload.get("entry")):
        batch.unreadable.append(Leftover(why="no entry of a WhatsApp account", raw=payload))
        return batch
    for change in _changes(payload, batch):
        _Change(change, received_at, batch).read()
    return batch


def _nothing(constant: str) -> None:
    """NaN and Infinity are no JSON; one of them in one message must not cost the others of its batch."""


def _whole_number(digits: str) -> int | str:
    """Text for what has more digits than a number may (Python's own limit would fail the whole batch)."""
    return int(digits) if len(digits) <= _LONGEST_NUMBER else digits


def _excerpt(body: bytes) -> str:
    shown: str = clean(body[:_RAW_CHARACTERS].decode("utf-8", "replace"))
    return shown


def _changes(payload: dict[str, Any], batch: ParsedBatch) -> Iterator[dict[str, Any]]:
    for entry in items(payload.get("entry")):
        changes = items(mapping(entry).get("changes"))
        if not changes:
            batch.unreadable.append(Leftover(why="an entry without changes", raw=entry))
        for change in changes:
            if mapping(change, "value"):
                yield change
            else:
                batch.unreadable.append(Leftover(why="a change without a value", raw=change))


class _Change:
    """One change of one entry: messages, echoes and statuses of one of our numbers."""

    def __init__(self, change: dict[str, Any], received_at: datetime, batch: ParsedBatch) -> None:
        self._field = change.get("field")
        self._value = mapping(change, "value")
        self._account = text(mapping(self._value, "metadata").get("phone_number_id"), most=64)
        self._contacts = list(objects(self._value.get("contacts")))
        self._received_at = received_at
        self._batch = batch

    def read(self) -> None:
        value = self._value
        parts = [value.get(name) for name in ("messages", "message_echoes", "statuses")]
        if not any(items(part) for part in parts):
            self._nothing_for_us()
        for message in items(parts[0]):
            self._read_message(message, echo=False)
        for message in items(parts[1]):
            self._read_message(message, echo=True)
        for status in items(parts[2]):
            self._read_status(status)
        unknown = {name: value[name] for name in value.keys() - _KNOWN_VALUE_KEYS}
        if unknown and any(items(part) for part in parts):
            self._batch.ignored.append(Leftover(account=self._account, why="fields not known here", raw=unknown))

    def _nothing_for_us(self) -> None:
        """Another field (account alerts, template reviews, …), or one of ours with nothing readable in it."""
        kept = Leftover(account=self._account, why=f"field {line(self._field) or 'without a name'}", raw=self._value)
        about_messages = self._field in ("messages", "smb_message_echoes") and not items(self._value.get("errors"))
        (self._batch.unreadable if about_messages else self._batch.ignored).append(kept)

    def _read_message(self, message: Any, *, echo: bool) -> None:
        found = self._message(message, echo=echo) if isinstance(message, dict) else None
        if found is None:
            why = "a message without our number, its id or its sender"
            self._batch.unreadable.append(Leftover(account=self._account, why=why, raw=message))
        else:
            self._batch.messages.append(found)

    def _message(self, message: dict[str, Any], *, echo: bool) -> InboundMessage | None:
        message_id, sender = text(message.get("id"), most=512), self._sender(message, "to" if echo else "from")
        known = identities(*sender)
        if not (self._account and message_id and known):
            return None
        content, contact = read_content(message), self._contact(*sender)
        return InboundMessage(
            account=self._account,
            channel_message_id=message_id,
            identities=known,
            username=line(mapping(contact, "profile").get("username") or contact.get("username")),
            profile_name=line(mapping(contact, "profile").get("name")),
            sent_at=moment(message.get("timestamp"), self._received_at),
            kind=MessageKind.ECHO if echo else content.kind,
            text=content.text,
            choice_id=content.choice_id,
            reply_to=text(mapping(message, "context").get("id"), most=512),
            concerns=content.concerns,
            new_identities=_changed_to(message),
            group_id=text(message.get("group_id"), most=200),
            media=content.media,
            raw=message,
        )

    def _sender(self, message: dict[str, Any], role: str) -> tuple[str | None, str | None]:
        """Phone and user id of the customer: what the message says, completed from its contact."""
        number_, scoped = phone(message.get(role)), user_id(message.get(f"{role}_user_id"))
        contact = self._contact(number_, scoped)
        return number_ or phone(contact.get("wa_id")), scoped or user_id(contact.get("user_id"))

    def _contact(self, number_: str | None, scoped: str | None) -> dict[str, Any]:
        """The contact of this customer: by the id if both have one, else by the number. Never by position alone."""
        for contact in self._contacts:
            theirs = user_id(contact.get("user_id"))
            if (scoped and scoped == theirs) or (number_ and number_ == phone(contact.get("wa_id"))):
                return contact
        return {}

    def _read_status(self, status: Any) -> None:
        found = self._status(status) if isinstance(status, dict) else None
        if found is None:
            why = "a status without our number, its message or a known state"
            self._batch.unreadable.append(Leftover(account=self._account, why=why, raw=status))
        else:
            self._batch.statuses.append(found)

    def _status(self, status: dict[str, Any]) -> StatusUpdate | None:
        message_id, state = text(status.get("id"), most=512), _STATUSES.get(str(status.get("status")))
        if not (self._account and message_id and state):
            return None
        return StatusUpdate(
            account=self._account,
            channel_message_id=message_id,
            status=state,
            delivery_id=text(status.get("biz_opaque_callback_data"), most=512),
            at=moment(status.get("timestamp"), self._received_at),
            identities=identities(phone(status.get("recipient_id")), user_id(status.get("recipient_user_id"))),
            errors=[_error(each) for each in objects(status.get("errors"))],
            raw=status,
        )


def _changed_to(message: dict[str, Any]) -> list[Any]:
    """The new identities of a customer whose number or id changed (`new_wa_id`: before API version 12)."""
    system = mapping(message, "system") if message.get("type") == "system" else {}
    return identities(phone(system.get("wa_id") or system.get("new_wa_id")), user_id(system.get("user_id")))


def _error(error: dict[str, Any]) -> ChannelError:
    details = text(mapping(error, "error_data").get("details"))
    said = details or text(error.get("message")) or text(error.get("title")) or ""
    return ChannelError(code=number(error.get("code")), text=said)
