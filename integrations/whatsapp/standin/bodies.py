"""The bodies that Meta's webhook posts, built as Meta builds them: messages of customers, statuses of ours."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from integrations.whatsapp.standin.chats import new_message_id

WABA = "102290129340398"


class Writing(BaseModel):
    """What a customer does on the phone: writes *text*, or sends *message*, a message in the Graph API's shape.

    Without `phone` the customer has a username and comes by `user_id` alone. `timestamp` is Unix seconds.
    """

    model_config = ConfigDict(extra="forbid")

    phone: str | None = Field(default="15550001111", pattern=r"^[0-9]{5,15}$")
    user_id: str | None = Field(default=None, max_length=128)
    username: str | None = Field(default=None, max_length=60)
    profile_name: str = Field(default="Trying Customer", max_length=200)
    text: str | None = Field(default=None, max_length=65_536)
    message: dict[str, Any] = Field(default_factory=dict)
    reply_to: str | None = Field(default=None, max_length=512)
    id: str | None = Field(default=None, max_length=512)
    timestamp: int | None = None

    @property
    def chat(self) -> str:
        return self.phone or self.user_id or "unknown"


def customer_message(writing: Writing, our_display_number: str, now: datetime) -> dict[str, Any]:
    message: dict[str, Any] = {
        "id": writing.id or new_message_id(),
        "timestamp": str(writing.timestamp if writing.timestamp is not None else int(now.timestamp())),
        "type": "text",
    }
    message |= {"from": writing.phone} if writing.phone else {}
    message |= {"from_user_id": writing.user_id} if writing.user_id else {}
    message |= {"text": {"body": writing.text}} if writing.text is not None else {}
    message |= {"context": {"from": our_display_number, "id": writing.reply_to}} if writing.reply_to else {}
    return message | writing.message


def contact(writing: Writing) -> dict[str, Any]:
    profile = {"name": writing.profile_name} | ({"username": writing.username} if writing.username else {})
    ids = {"wa_id": writing.phone, "user_id": writing.user_id}
    return {"profile": profile} | {name: value for name, value in ids.items() if value}


def status(
    message_id: str, state: str, recipient: dict[str, Any], delivery_id: Any, code: int | None, now: datetime
) -> dict[str, Any]:
    built: dict[str, Any] = {"id": message_id, "status": state, "timestamp": str(int(now.timestamp()))} | recipient
    if delivery_id is not None:
        built["biz_opaque_callback_data"] = delivery_id
    if code is not None:
        built["errors"] = [{"code": code, "title": "Message undeliverable", "message": "Message undeliverable"}]
    return built


def webhook_body(phone_number_id: str, display_number: str, **value: Any) -> bytes:
    """One change of field `messages`. Meta escapes what is not ASCII, and slashes."""
    metadata = {"display_phone_number": display_number, "phone_number_id": phone_number_id}
    change = {"value": {"messaging_product": "whatsapp", "metadata": metadata, **value}, "field": "messages"}
    payload = {"object": "whatsapp_business_account", "entry": [{"id": WABA, "changes": [change]}]}
    return json.dumps(payload).replace("/", "\\/").encode()
