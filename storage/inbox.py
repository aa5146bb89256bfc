"""The inbox: a message is stored here, with its sequence number, before anything else happens to it."""

from __future__ import annotations

from schemas.encoding import dump_json
from schemas.messages import IncomingMessage, StoredMessage
from storage.database import Database

_STORE = """
SELECT * FROM store_message(
    :channel, :account, :assistant, CAST(:identities AS jsonb), :display_name, :id_scope, :channel_message_id, :kind,
    :text, :content_hash, CAST(:meta AS jsonb), :sent_at, :wants_stream, :request_id)
"""


class Inbox:
    """Stores messages once. One statement, one round trip."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def store(self, message: IncomingMessage) -> StoredMessage:
        """Stores *message*, or says what is known of it if it came before.

        Raises StorageUnavailable when nothing is known to be stored: the sender must try again.
        """
        values = message.model_dump(exclude={"identities", "meta"})
        values["identities"] = dump_json([identity.model_dump() for identity in message.identities])
        values["meta"] = dump_json(message.meta)
        values["content_hash"] = message.content_hash
        row = await self._database.row(_STORE, values)
        assert row is not None
        return StoredMessage.model_validate(dict(row))
