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
from integrations.whatsapp.meta.echoes import read_echo
from integrations.whatsapp.meta.senders import change_of, contact_of, sender_of, strange_ids
from integrations.whatsapp.reading import (
    clean,
    items,
    line,
    mapping,
    moment,
    number,
    objects,
    phone,
    text,
)
from schemas.deliveries import Leftover
from schemas.messages import CustomerIdentity

_KNOWN_VALUE_KEYS = {"messaging_product", "metadata", "contacts", "messages", "message_echoes", "statuses", "errors"}
_STATUSES = {status.value: status for status in DeliveryStatus} | {
    "played": DeliveryStatus.READ,  # a voice message was listened to
    "accepted": DeliveryStatus.QUEUED,
    "warning": DeliveryStatus.QUEUED,
}
_OURS = (None, "messages", "smb_message_echoes")
"""Fields whose messages are ours to answer, or our staff's. Under any other (`standby`: another sender has the
conversation; `history`: what was said before we came) they are kept, and answered by nobody."""
_CHANGES = ("user_changed_number", "user_changed_user_id", "customer_changed_number")
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
        shown = line(mapping(self._value, "metadata").get("display_phone_number"), most=40) or ""
        self._number = phone("".join(filter(str.isdigit, shown)))  # with blanks and signs, as people write it
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
            self._leave("a message without our number, its id or its sender", message)
        else:
            self._batch.messages.append(found)

    def _message(self, message: dict[str, Any], *, echo: bool) -> InboundMessage | None:
        echo = echo or self._is_our_own(message)
        role = "to" if echo else "from"
        contact = contact_of(message, role, self._contacts)
        known, becomes = self._keys(message, sender_of(message, role, contact))
        message_id = text(message.get("id"), most=512)
        if not (self._account and message_id and known):
            return None
        if strange := strange_ids(message, contact):
            self._note(f"an id in a form that is not known here: {', '.join(strange)}", strange)
        of_another = self._field not in _OURS
        who = "Another sender" if of_another else "Staff"
        content, revises = read_echo(message, who) if echo else (read_content(message), None)
        return InboundMessage(
            account=self._account,
            channel_message_id=message_id,
            identities=known,
            username=line(mapping(contact, "profile").get("username") or contact.get("username")),
            profile_name=line(mapping(contact, "profile").get("name")),
            sent_at=moment(message.get("timestamp"), self._received_at),
            kind=content.kind,
            text=content.text,
            choice_id=content.choice_id,
            reply_to=text(mapping(message, "context").get("id"), most=512),
            concerns=content.concerns,
            revises=revises,
            new_identities=becomes,
            of_another=of_another,
            group_id=text(message.get("group_id"), most=200),
            media=content.media,
            raw=message,
        )

    def _keys(self, message: dict[str, Any], sender: list[CustomerIdentity]) -> tuple[list[Any], list[Any]]:
        """Whose it is and, of a system message, by what they are known from now on. A change of which only one side is
        told changes nothing, and is kept aside too."""
        if message.get("type") != "system":
            return sender, []
        old, new = change_of(message, sender)
        if old and new:
            return old, new
        if mapping(message, "system").get("type") in _CHANGES:
            self._note(f"a changed number or id without the {'new' if old else 'old'} one", message)
        return old or sender, []

    def _is_our_own(self, message: dict[str, Any]) -> bool:
        """Whether our own number wrote it: another app's message, or a person's on the phone itself."""
        return self._number is not None and phone(message.get("from")) == self._number

    def _leave(self, why: str, raw: Any) -> None:
        self._batch.unreadable.append(Leftover(account=self._account, why=why, raw=raw))

    def _note(self, why: str, raw: Any) -> None:
        """Of a message that is taken: what of it has no effect."""
        self._batch.ignored.append(Leftover(account=self._account, why=why, raw=raw))

    def _read_status(self, status: Any) -> None:
        found = self._status(status) if isinstance(status, dict) else None
        if found is None:
            self._leave("a status without our number, its message or a known state", status)
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
            identities=sender_of({}, "to", _recipient(status)),
            errors=[_error(each) for each in objects(status.get("errors"))],
            raw=status,
        )


def _recipient(status: dict[str, Any]) -> dict[str, Any]:
    """Of a message of ours: the customer, as a contact tells them."""
    names = {"wa_id": "recipient_id", "user_id": "recipient_user_id", "parent_user_id": "recipient_parent_user_id"}
    return {name: status.get(told) for name, told in names.items()}


def _error(error: dict[str, Any]) -> ChannelError:
    details = text(mapping(error, "error_data").get("details"))
    said = details or text(error.get("message")) or text(error.get("title")) or ""
    return ChannelError(code=number(error.get("code")), text=said)
