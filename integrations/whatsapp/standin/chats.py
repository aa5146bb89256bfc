"""What the stand-in remembers: the customers' phones with their chats, and the files that were uploaded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import uuid4

from pydantic import BaseModel, Field

from config.clock import Clock
from integrations.whatsapp.incoming import DeliveryStatus

TYPING = timedelta(seconds=25)


class ChatMessage(BaseModel):
    """One bubble. `revision` grows with each change of any bubble, so a page asks for what is new `since` one.

    `direction`: `in` is from the customer to us, `out` from us. `read` of an `in` one: we marked it as read.
    """

    revision: int
    id: str
    phone: str
    direction: Literal["in", "out"]
    at: datetime
    type: str
    text: str = ""
    buttons: list[dict[str, str]] = Field(default_factory=list)
    reply_to: str | None = None
    status: DeliveryStatus = DeliveryStatus.QUEUED
    error: int | None = None
    read: bool = False
    raw: dict[str, Any] = Field(default_factory=dict)


class StoredFile(BaseModel):
    mime_type: str
    content: bytes


class Chats:
    """In memory; gone with the process."""

    def __init__(self, now: Clock) -> None:
        self._now = now
        self._messages: dict[str, ChatMessage] = {}
        self._typing: dict[str, datetime] = {}
        self._revision = 0
        self.files: dict[str, StoredFile] = {}

    @property
    def revision(self) -> int:
        return self._revision

    def add(self, phone: str, direction: Literal["in", "out"], message: dict[str, Any]) -> ChatMessage:
        """Keeps *message* (in the Graph API's shape) in the chat of *phone*; an own `id` of it is kept."""
        kind = str(message.get("type", "text"))
        interactive = message.get("interactive") or {}
        added = ChatMessage(
            revision=self._next(),
            id=str(message.get("id") or new_message_id()),
            phone=phone,
            direction=direction,
            at=self._now(),
            type=kind,
            text=_shown(kind, message),
            buttons=[each["reply"] for each in interactive.get("action", {}).get("buttons", [])],
            reply_to=(message.get("context") or {}).get("message_id"),
            raw=message,
        )
        self._messages[added.id] = added
        if direction == "out":
            self._typing.pop(phone, None)
        return added

    def find(self, message_id: str) -> ChatMessage | None:
        return self._messages.get(message_id)

    def changed(self, message_id: str, **values: Any) -> ChatMessage | None:
        message = self._messages.get(message_id)
        if message is None:
            return None
        self._messages[message_id] = message.model_copy(update={**values, "revision": self._next()})
        return self._messages[message_id]

    def show_typing(self, phone: str) -> None:
        self._typing[phone] = self._now() + TYPING

    def is_typing(self, phone: str) -> bool:
        return self._typing.get(phone, datetime.min.replace(tzinfo=UTC)) > self._now()

    def since(self, revision: int, phone: str | None = None) -> list[ChatMessage]:
        """Bubbles added or changed after *revision*, oldest first."""
        found = (each for each in self._messages.values() if each.revision > revision and phone in (None, each.phone))
        return sorted(found, key=lambda each: each.at)

    def _next(self) -> int:
        self._revision += 1
        return self._revision


def new_message_id() -> str:
    return f"wamid.{uuid4().hex.upper()}"


def _shown(kind: str, message: dict[str, Any]) -> str:
    part = message.get(kind)
    part = part if isinstance(part, dict) else {}
    interactive_body = part.get("body")
    if isinstance(interactive_body, dict):
        return str(interactive_body.get("text", ""))
    for name in ("body", "caption", "text", "emoji", "name"):
        if part.get(name):
            return str(part[name])
    for reply in ("button_reply", "list_reply"):
        if part.get(reply):
            return str(part[reply].get("title", ""))
    return ""
