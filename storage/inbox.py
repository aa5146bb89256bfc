"""The inbox: a message is stored here, with its sequence number, before anything else happens to it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, repeat
from typing import Any
from uuid import UUID

from schemas.conversation_ref import ConversationRef
from schemas.encoding import dump_json
from schemas.messages import (
    BatchOptions,
    BatchOutcome,
    ChannelMessage,
    IncomingMessage,
    StoredMessage,
    content_hash,
)
from storage.database import Database

_STORE = """
SELECT * FROM store_message(
    :channel, :account, :assistant, CAST(:identities AS jsonb), :display_name, :id_scope, :channel_message_id, :kind,
    :text, :content_hash, CAST(:meta AS jsonb), :sent_at, :wants_stream, :request_id, CAST(:limits AS jsonb))
"""

_STORE_BATCH = "SELECT * FROM store_channel_messages(:channel, CAST(:messages AS jsonb), CAST(:options AS jsonb))"

_AT_ONCE = 200
"""Messages of one batch that share a transaction: each locks its customer until that ends."""


class OverLimit(Exception):
    """Too many messages; nothing was stored. `wait_seconds` until there is room for one."""

    def __init__(self, wait_seconds: float) -> None:
        super().__init__(f"over the limit for {wait_seconds:.3f} s")
        self.wait_seconds = wait_seconds


class Inbox:
    """Stores messages once. One statement, one round trip."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def store(self, message: IncomingMessage) -> StoredMessage:
        """Stores *message*, or says what is known of it if it came before.

        Raises OverLimit, and StorageUnavailable when nothing is known to be stored: the sender must try again.
        """
        values = message.model_dump(exclude={"identities", "meta", "limits"})
        values["identities"] = dump_json([identity.model_dump() for identity in message.identities])
        values["limits"] = dump_json([limit.model_dump() for limit in message.limits])
        values["meta"] = dump_json(message.meta)
        values["content_hash"] = message.content_hash
        row = await self._database.row(_STORE, values)
        assert row is not None
        if row["wait_seconds"] > 0:
            raise OverLimit(row["wait_seconds"])
        return StoredMessage.model_validate({**row, "channel_message_id": message.channel_message_id})

    async def store_batch(
        self, channel: str, messages: Sequence[ChannelMessage], options: BatchOptions
    ) -> list[BatchOutcome]:
        """Stores all that a webhook brought, in its order; what came before changes nothing.

        Raises StorageUnavailable when not all is known to be stored: the channel must deliver the batch again.
        """
        outcomes: list[BatchOutcome] = []
        for start in range(0, len(messages), _AT_ONCE):
            some = messages[start : start + _AT_ONCE]
            stored = dump_json([_as_stored(message) for message in some])
            values = {"channel": channel, "messages": stored, "options": options.model_dump_json()}
            rows = await self._database.rows(_STORE_BATCH, values)
            with_files = chain((bool(message.media) for message in some), repeat(False))  # those that ended come last
            outcomes += [_outcome(dict(row), files) for row, files in zip(rows, with_files, strict=False)]
        return outcomes


def _as_stored(message: ChannelMessage) -> dict[str, Any]:
    """As `store_channel_message` reads it."""
    names = {"account", "channel_message_id", "identities", "new_identities", "display_name", "kind", "speaks", "text"}
    values = message.model_dump(mode="json", include=names | {"sent_at", "limits", "of_another", "revises"})
    return values | {"meta": message.meta, "content_hash": content_hash(message.kind, message.text)}


def _outcome(row: dict[str, Any], files: bool) -> BatchOutcome:
    outcome = row.pop("outcome")
    known: UUID | None = row["conversation_id"]
    return BatchOutcome(outcome=outcome, ref=ConversationRef.model_validate(row | {"files": files}) if known else None)
