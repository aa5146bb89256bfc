"""A message on its way in: what a front door hands to the inbox, and what the inbox says of it."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from schemas.turns import State
from schemas.waking import Waking


class CustomerIdentity(BaseModel):
    """One name by which a channel knows a customer. `kind`: customer_id, phone, user_id or username."""

    model_config = ConfigDict(frozen=True)

    kind: str
    value: str


class IncomingMessage(BaseModel):
    """One verified message of a customer.

    `id_scope` is that within which `channel_message_id` is unique: the customer for HTTP (two customers may count
    from 1), our own number for WhatsApp. `identities` are all of one customer, the most telling first.
    """

    channel: str
    account: str = ""
    assistant: str = "default"
    identities: list[CustomerIdentity] = Field(min_length=1)
    display_name: str | None = None
    id_scope: str
    channel_message_id: str
    kind: str = "text"
    text: str
    meta: dict[str, Any] = Field(default_factory=dict)
    sent_at: datetime | None = None
    wants_stream: bool = False
    request_id: str | None = None

    @property
    def content_hash(self) -> str:
        """Tells whether a message that comes again under one id is really the same."""
        return sha256(f"{self.kind}\n{self.text}".encode()).hexdigest()


class StoredMessage(Waking):
    """What the inbox knows. `is_new` is false for a message that came before; `turn_id` is set once it is answered."""

    message_id: UUID
    state: State
    is_new: bool
    same_content: bool
    turn_id: UUID | None = None


class WaitingMessage(BaseModel):
    """A stored message as the turn takes it."""

    id: UUID
    seq: int
    kind: str
    text: str
    choice_id: str | None = None
    """The id of the button that was pressed, where the channel has them."""
    stored_at: datetime
    wants_stream: bool = False
    request_id: str | None = None
