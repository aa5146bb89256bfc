"""Erasing a customer: the words and the names go, what happened and when stays.

All of it in one transaction, under the locks that the inbox and a turn take, in an order they take them in: a message
or an answer comes either before the erasure, which then sees it, or after it. What comes after finds no customer
(a new one is made) or is blanked by triggers (`blank_if_erased` in `storage/sql/erasure.sql`).
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import BaseModel

from actions import gates
from schemas.encoding import dump_json
from schemas.transitions import Event
from schemas.turns import State
from storage.database import Database, Transaction

_LOCK_NAMES = """
SELECT lock_in_order(array_agg(channel || ':' || kind || ':' || value))
  FROM channel_identities WHERE customer_id = :customer_id
"""

_MINE = "(SELECT id FROM conversations WHERE customer_id = :customer_id)"

_LOCK_CUSTOMER = "SELECT merged_into FROM customers WHERE id = :customer_id FOR NO KEY UPDATE"
"""First of all rows, as the inbox does: nobody is merged with them meanwhile."""

_LOCK_WORK = (
    f"SELECT id FROM effects WHERE conversation_id IN {_MINE} ORDER BY id FOR UPDATE",
    f"SELECT id FROM turns WHERE conversation_id IN {_MINE} AND finished_at IS NULL ORDER BY id FOR UPDATE",
    "SELECT id FROM conversations WHERE customer_id = :customer_id ORDER BY id FOR UPDATE",
)

_LOOK = f"""
SELECT k.erased_at IS NOT NULL AS erased,
       (SELECT coalesce(array_agg(c.id), '{{}}') FROM conversations c WHERE c.customer_id = k.id) AS conversations,
       (SELECT coalesce(sum(c.newest_seq - c.cursor), 0)::int FROM conversations c WHERE c.customer_id = k.id) AS
       waiting, (SELECT count(*)::int FROM effects e
         WHERE e.conversation_id IN {_MINE} AND e.status IN ('planned', 'sending')
           AND e.kind <> 'part') AS under_way,
       (SELECT count(*)::int FROM messages m WHERE m.conversation_id IN {_MINE}) AS messages
  FROM customers k WHERE k.id = :customer_id
"""

_GIVE_UP = (
    # What is asked, or about to be, ends here: the workflow finds its turn finished and goes past the messages.
    """UPDATE turns t SET status = 'held', failure = 'erased', state = :state, attempt = t.attempt + 1,
              last_seq = greatest(t.last_seq, c.newest_seq), finished_at = agent_now()
         FROM conversations c WHERE c.id = t.conversation_id AND c.id = ANY(:ids) AND t.finished_at IS NULL""",
    """INSERT INTO turns (conversation_id, first_seq, last_seq, status, failure, state, finished_at)
       SELECT id, cursor + 1, newest_seq, 'held', 'erased', :state, agent_now() FROM conversations
        WHERE id = ANY(:ids) AND cursor < newest_seq ON CONFLICT (conversation_id, first_seq) DO NOTHING""",
    "UPDATE conversations SET cursor = newest_seq WHERE id = ANY(:ids)",
    """SELECT each.owner FROM unnest(CAST(:ids AS uuid[])) AS id,
              change_owner(id, 'erased', CAST(:rules AS jsonb), :actor, '') AS each""",
    # Nobody began a planned effect, so it surely failed; of one being sent nobody knows. A late attempt has no fence.
    """UPDATE effects SET status = CASE status WHEN 'planned' THEN 'failed' ELSE 'unknown' END, fence = fence + 1,
              settled_at = agent_now()
        WHERE conversation_id = ANY(:ids) AND status IN ('planned', 'sending') AND kind <> 'part'""",
    """UPDATE actions SET settled_at = agent_now(), status = 'cancelled'
        WHERE conversation_id = ANY(:ids) AND status = 'awaiting_confirmation'""",
    """UPDATE handoffs SET released_at = agent_now(), released_by = :actor
        WHERE conversation_id = ANY(:ids) AND released_at IS NULL""",
)

_BLANK = (
    # A channel's message id is a name too: WhatsApp's holds the phone number, and the scope of HTTP's is the customer.
    """UPDATE messages SET text = '', content_hash = '', sources = '[]', meta = '{}', id_scope = 'erased',
              channel_message_id = NULL, request_id = NULL, delivery = CASE WHEN delivery = 'due' THEN 'done' END,
              author_name = CASE WHEN direction = 'out' THEN author_name END
        WHERE conversation_id = ANY(:ids)""",
    """UPDATE raw_outputs SET text = '', details = '{}', errors = '[]', notes = '[]', explanation = NULL
        WHERE conversation_id = ANY(:ids)""",
    # Digests of short words can be guessed.
    """UPDATE actions SET reason = '', metadata = '{}', digest = '', request_hash = ''
        WHERE conversation_id = ANY(:ids)""",
    """UPDATE effects SET request = '{}', result = NULL, error = NULL, note = NULL, request_hash = ''
        WHERE conversation_id = ANY(:ids) AND kind <> 'part'""",
    "UPDATE tickets SET subject = '', description = '', category = NULL WHERE conversation_id = ANY(:ids)",
    "UPDATE handoffs SET reason = '', details = '{}' WHERE conversation_id = ANY(:ids)",
    """UPDATE effects SET external_id = NULL, error = NULL, result = NULL,
              request = jsonb_build_object('kind', request -> 'kind'),
              failure = CASE WHEN status IN ('planned', 'sending') THEN 'erased' ELSE failure END,
              fence = fence + (status = 'sending')::int,
              status = CASE status WHEN 'planned' THEN 'failed' WHEN 'sending' THEN 'unknown' ELSE status END
        WHERE conversation_id = ANY(:ids) AND kind = 'part'""",
    """UPDATE media SET filename = NULL, channel_media_id = '', announced_sha256 = NULL, problem = NULL,
              status = CASE WHEN status = 'due' THEN 'refused' ELSE status END
        WHERE conversation_id = ANY(:ids)""",
    "DELETE FROM stream_events WHERE conversation_id = ANY(:ids)",
    """UPDATE audit SET details = details - 'reason'
        WHERE subject IN (SELECT 'conversation/' || id FROM unnest(CAST(:ids AS uuid[])) AS id)""",
    # What could not be read may be theirs where it names a number or an id of theirs, whole: of that time, where it is
    # somebody else's by now.
    r"""DELETE FROM leftovers l USING (
           SELECT customer_id, channel, kind, value, NULL AS until FROM channel_identities
           UNION ALL
           SELECT customer_id, channel, kind, value, created_at FROM former_identities) AS i
         WHERE i.customer_id = :customer_id AND i.kind IN ('phone', 'user_id', 'parent_user_id')
           AND l.channel = i.channel AND coalesce(l.received_at <= i.until, true)
           AND l.raw::text ~ ('(?<![0-9A-Za-z])' || replace(i.value, '.', '\.') || '(?![0-9A-Za-z])')""",
    # A limit's key is a hash of the name (`schemas.messages.limit_key`), and few numbers are there to try. One that a
    # message is using now is passed over: its sender starts over.
    """DELETE FROM rate_limits WHERE key IN (
           SELECT key FROM rate_limits WHERE key IN (
               SELECT encode(sha256(convert_to(concat_ws('/', 'customer', i.channel, name), 'UTF8')), 'hex')
                 FROM channel_identities i JOIN conversations c USING (customer_id, channel),
                      LATERAL unnest(ARRAY[i.value, concat_ws('/', c.account, i.kind, i.value)]) AS name
                WHERE i.customer_id = :customer_id)
           FOR UPDATE SKIP LOCKED)""",
    "DELETE FROM channel_identities WHERE customer_id = :customer_id",
    "DELETE FROM former_identities WHERE customer_id = :customer_id",
    "UPDATE customers SET display_name = NULL, erased_at = agent_now() WHERE id = :customer_id",
    """INSERT INTO audit (actor, deed, subject, details)
       VALUES (:actor, 'customer.erased', 'customer/' || CAST(:customer_id AS uuid),
               jsonb_build_object('messages', CAST(:messages AS int), 'given_up', CAST(:given_up AS boolean)))""",
)


_FILES = """
SELECT DISTINCT sha256 FROM media WHERE conversation_id = ANY(:ids) AND sha256 IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM media other WHERE other.sha256 = media.sha256 AND NOT other.conversation_id = ANY(:ids))
"""


class Busy(Exception):
    """Something of the customer's is under way: erasing now would leave it without its words."""

    def __init__(self, waiting: int, under_way: int) -> None:
        self.waiting, self.under_way = waiting, under_way
        super().__init__(f"messages unanswered: {waiting}, actions under way: {under_way}")


class Erased(BaseModel):
    """What an erasure did. `again`: the customer had been erased before, and nothing was changed."""

    again: bool = False
    conversations: int = 0
    messages: int = 0
    files: list[str] = []
    """SHA-256 of the kept files that were this customer's alone: their bytes are the caller's to remove."""


class Erasure:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def customer_of(self, conversation_id: UUID) -> UUID:
        """Raises LookupError for a conversation that was never stored."""
        row = await self._database.row("SELECT customer_id FROM conversations WHERE id = :id", {"id": conversation_id})
        if row is None:
            raise LookupError(f"no conversation {conversation_id}")
        return UUID(str(row["customer_id"]))

    async def erase(self, customer_id: UUID, *, actor: str, force: bool = False) -> Erased:
        """Removes a customer's words and names from all conversations; ids, numbers, statuses and counts stay.

        A customer who turned out to be another one is erased as that one. Open ends are closed: questions cancelled,
        handoffs released, the conversations closed. Raises Busy, having changed nothing, while messages wait or an
        action is under way; with *force* those are given up.
        """
        values: dict[str, Any] = {"customer_id": customer_id, "actor": actor, "state": State.CLOSED}
        values["rules"] = dump_json(gates.rules_of(Event.ERASED))
        async with self._database.transaction() as transaction:
            await transaction.rows(_LOCK_NAMES, values)
            customer = await transaction.rows(_LOCK_CUSTOMER, values)
            if not customer:
                raise LookupError(f"no customer {customer_id}")
            if customer[0]["merged_into"] is None:
                for statement in _LOCK_WORK:
                    await transaction.rows(statement, values)
                (found,) = await transaction.rows(_LOOK, values)
                if found["erased"]:
                    return Erased(again=True)
                return await self._erase(transaction, dict(found), values, force=force)
        return await self.erase(customer[0]["merged_into"], actor=actor, force=force)

    async def _erase(
        self, transaction: Transaction, found: dict[str, Any], values: dict[str, Any], *, force: bool
    ) -> Erased:
        busy = bool(found["waiting"] or found["under_way"])
        if busy and not force:
            raise Busy(found["waiting"], found["under_way"])
        values = {**values, "ids": found["conversations"], "messages": found["messages"], "given_up": busy}
        for statement in (*_GIVE_UP, *_BLANK):
            await transaction.rows(statement, values)
        files = [row["sha256"] for row in await transaction.rows(_FILES, values)]
        return Erased(conversations=len(found["conversations"]), messages=found["messages"], files=files)
