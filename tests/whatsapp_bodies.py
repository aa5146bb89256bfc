"""Webhook bodies as Meta sends them, for the tests of the WhatsApp adapter."""

from __future__ import annotations

import json
from typing import Any

from integrations.whatsapp.incoming import InboundMessage, ParsedBatch
from integrations.whatsapp.meta.webhook import parse_webhook
from tests.support.clock import NOW, stamp

ACCOUNT = "106540352242922"
PHONE = "16505551234"
USER_ID = "US.13491208655302741918"


def message(**fields: Any) -> dict[str, Any]:
    """A text message; *fields* replace or, when None, remove what it has."""
    built = {
        "from": PHONE,
        "id": "wamid.1",
        "timestamp": stamp(NOW),
        "type": "text",
        "text": {"body": "Hello"},
    } | fields
    return {name: value for name, value in built.items() if value is not None}


def payload(**value: Any) -> dict[str, Any]:
    """A body with one change; *value* holds messages, contacts, statuses, …"""
    metadata = {"display_phone_number": "15550783881", "phone_number_id": ACCOUNT}
    change = {"field": "messages", "value": {"messaging_product": "whatsapp", "metadata": metadata} | value}
    return {"object": "whatsapp_business_account", "entry": [{"id": "102290129340398", "changes": [change]}]}


def parse(body: Any) -> ParsedBatch:
    return parse_webhook(body if isinstance(body, bytes) else json.dumps(body).encode(), NOW)


def parse_one(one: dict[str, Any], **value: Any) -> InboundMessage:
    """The only message of a batch that holds *one*."""
    batch = parse(payload(messages=[one], **value))
    assert batch.unreadable == []
    (found,) = batch.messages
    return found
