"""Replies that go out over a channel: due, planned in parts, each an effect of its own in the ledger.

A part is `sending` before it leaves and settled after; whoever finds it `sending` under an older fence knows that
nobody knows. A status of the channel may settle it first (`storage.delivery_reports`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid5

from pydantic import BaseModel

from schemas.deliveries import Address, DeliveryState, DueMessage, Part, PlannedPart
from schemas.effects import EffectOutcome, EffectStatus
from schemas.encoding import dump_json
from storage.channels import DELIVERY
from storage.database import Database
from storage.ledger import COMPLETE, Ledger, complete_values
from storage.merges import WITH_MERGED

_DUE = f"""
SELECT m.id, m.conversation_id, m.text, m.sources, m.meta, m.stored_at, m.owner_version, c.channel, c.account,
       c.assistant,
       (SELECT max(version) FROM configurations k WHERE k.assistant = c.assistant) AS assistant_version,
       to_whom.phone, to_whom.user_id,
       (SELECT max(coalesce(w.sent_at, w.stored_at)) FROM messages w
         WHERE w.conversation_id IN {WITH_MERGED} AND w.direction = 'in') AS wrote_at,
       EXISTS (SELECT 1 FROM turns t WHERE t.id = (m.meta ->> 'interim_notice_of')::uuid AND t.finished_at IS NOT NULL)
           OR is_settled(m) OR is_over(m) AND m.owner_version >= c.taken_version AS superseded,
       (SELECT coalesce(jsonb_agg(to_jsonb(e) || e.request ORDER BY (e.request ->> 'part')::int), '[]')
          FROM effects e WHERE e.message_id = m.id) AS parts
  FROM messages m JOIN conversations c ON c.id = m.conversation_id, address_of(:conversation_id) AS to_whom
 WHERE m.conversation_id = :conversation_id AND m.delivery = 'due'
 ORDER BY m.stored_at, m.id
"""

_PART = "to_jsonb(e) || e.request"
"""A part's row with what it is to say: the request's `kind` is the part's own, and its `part` the number."""

_PLAN = f"""
WITH customer AS MATERIALIZED (
    SELECT id FROM customers WHERE id = (SELECT c.customer_id FROM conversations c JOIN messages m
        ON m.conversation_id = c.id WHERE m.id = :message_id) FOR SHARE
), place AS MATERIALIZED (
    SELECT id FROM conversations WHERE id = (SELECT conversation_id FROM messages WHERE id = :message_id)
       AND customer_id = (SELECT id FROM customer) FOR KEY SHARE
), due AS MATERIALIZED (
    SELECT * FROM messages
     WHERE id = :message_id AND delivery = 'due' AND text = :text AND EXISTS (SELECT 1 FROM place) FOR SHARE
), planned AS (
    INSERT INTO effects (key, kind, conversation_id, message_id, turn_id, owner_version, request, recovery, deadline)
    SELECT m.id || '/' || (p.part ->> 'part'), 'part', m.conversation_id, m.id,
           (SELECT t.id FROM turns t WHERE t.id = m.turn_id), m.owner_version, p.part, 'report',
           m.stored_at + make_interval(secs => :give_up)
      FROM due m, jsonb_array_elements(CAST(:parts AS jsonb)) AS p(part)
    ON CONFLICT (key) DO NOTHING RETURNING *
)
SELECT {_PART} AS part FROM planned e ORDER BY (e.request ->> 'part')::int
"""
"""Only of a message that is due, and says what was read: its customer may be erased meanwhile, or be merged. Locks are
taken in their order."""

_PARTS = f"""
SELECT {_PART} AS part FROM effects e JOIN messages m ON m.id = e.message_id AND m.delivery = 'due'
 WHERE e.message_id = :message_id ORDER BY (e.request ->> 'part')::int
"""

_RENEW = f"""
WITH parts AS MATERIALIZED (
    SELECT id FROM effects WHERE message_id = :message_id ORDER BY id FOR UPDATE
), renewed AS (
    UPDATE effects e SET status = 'planned', owner_version = m.owner_version, failure = NULL, error = NULL,
           settled_at = NULL, not_before = NULL, deadline = m.stored_at + make_interval(secs => :give_up)
      FROM messages m
     WHERE m.id = :message_id AND m.delivery = 'due' AND e.id IN (SELECT id FROM parts)
       AND e.owner_version < m.owner_version AND (e.status = 'planned' OR e.failure = 'withheld') RETURNING e.*
)
SELECT {_PART} AS part FROM (
    SELECT * FROM renewed
    UNION ALL
    SELECT * FROM effects WHERE message_id = :message_id AND id NOT IN (SELECT id FROM renewed)
) e ORDER BY (e.request ->> 'part')::int
"""

_WITHHOLD = "SELECT withhold_message(:message_id, :note_id, :note) AS withheld"

_UNDER_WAY = """
SELECT count(*) AS requests,
       count(*) FILTER (WHERE claimed_at > agent_now() - make_interval(secs => :begin_seconds)) AS beginning
  FROM effects
 WHERE conversation_id = :conversation_id AND kind = 'part' AND status = 'sending' AND owner_version IS NOT NULL
"""

_SUPERSEDE = "SELECT supersede_message(:message_id, :owner_version, :dropped)"

_GIVE_UP = """
SELECT give_up_message(:message_id, :owner_version, :failure, CAST(:error AS jsonb), :note_id, :note) AS given_up
"""

_WAITING = "SELECT newest_seq FROM conversations WHERE id = :conversation_id AND cursor < newest_seq"

_FINISH = "SELECT finish_message(id) AS finished FROM messages WHERE id = :message_id AND delivery = 'due'"

_ADD = f"""
WITH added AS (
    INSERT INTO messages (id, conversation_id, direction, author, author_name, channel, id_scope, text, meta,
                          owner_version, delivery)
    SELECT :id, id, 'out', :author, :author_name, channel, '', :text, CAST(:meta AS jsonb), :owner_version, {DELIVERY}
      FROM conversations WHERE id = :conversation_id
    ON CONFLICT DO NOTHING RETURNING text, delivery
)
SELECT text, delivery IS NOT DISTINCT FROM 'due' AS needs_delivery FROM added
UNION ALL
SELECT text, delivery IS NOT DISTINCT FROM 'due' FROM messages WHERE id = :id
"""

_ADD_REPLY = "SELECT * FROM add_reply(:conversation_id, :key, :text, :author_name)"

_LOOK_AGAIN_SECONDS = 0.05


class AddedMessage(BaseModel):
    """As it is recorded. `needs_delivery`: it waits to be sent over the channel."""

    text: str
    needs_delivery: bool


class AddedReply(AddedMessage):
    """Which message it is, and the conversation that goes on: by a merge it may be another than was named."""

    message_id: UUID
    conversation_id: UUID


class ClaimedPart(BaseModel):
    """`part` is None if another attempt has it; `withheld`: a person has taken the conversation since it was said;
    `is_over`: it calls something open that is so no more. `address`: to whom it goes, as of the claim."""

    part: Part | None
    address: Address = Address()
    withheld: bool = False
    is_over: bool = False


class RequestsUnderWay(BaseModel):
    """Requests with the bot's words that have not come back; `beginning`: claimed so lately that they may not have
    begun (a sender that comes to it later than that gives way)."""

    requests: int
    beginning: int


class Outbox:
    """One statement each. A write that names a fence does nothing if another attempt has taken the part since."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.ledger = Ledger(database)

    async def due(self, conversation_id: UUID) -> list[DueMessage]:
        """Replies of the conversation that are not delivered, oldest first."""
        rows = await self._database.rows(_DUE, {"conversation_id": conversation_id})
        return [DueMessage.model_validate(dict(row)) for row in rows]

    async def plan(self, message: DueMessage, parts: Sequence[PlannedPart], give_up_seconds: float) -> list[Part]:
        """Fixes in which parts a reply is sent, and until when each may be tried; the first plan holds. Empty if
        it is not due any more, or has other words by now."""
        planned = dump_json([part.model_dump() for part in parts])
        values = {"message_id": message.id, "text": message.text, "parts": planned, "give_up": give_up_seconds}
        rows = await self._database.rows(_PLAN, values)
        if not rows:
            rows = await self._database.rows(_PARTS, {"message_id": message.id})
        return [Part.model_validate(row["part"]) for row in rows]

    async def renew(self, message: DueMessage, give_up_seconds: float) -> list[Part]:
        """The parts of a message that was withheld and leaves after all: those that did not leave are due again."""
        rows = await self._database.rows(_RENEW, {"message_id": message.id, "give_up": give_up_seconds})
        return [Part.model_validate(row["part"]) for row in rows]

    async def claim(self, part: Part, lease_seconds: float) -> ClaimedPart:
        """Takes the part for sending, if it is as *part* says and may leave. LookupError: it is none any more."""
        claim = await self.ledger.claim(
            part.key,
            from_statuses=[part.status],
            fence=part.fence,
            lease_seconds=lease_seconds,
            give_up_seconds=lease_seconds,
        )
        if not claim.won:
            return ClaimedPart(part=None, withheld=claim.withheld, is_over=claim.is_over)
        taken = {
            "status": claim.status,
            "fence": claim.fence,
            "attempts": claim.attempts,
            "claimed_at": claim.claimed_at,
        }
        address = Address(phone=claim.phone, user_id=claim.user_id)
        return ClaimedPart(part=part.model_copy(update=taken), address=address)

    async def withhold(self, message_id: UUID, unknown_note: str) -> bool:
        """What is left of the message is kept and not sent: a person has taken the conversation, and reads
        *unknown_note* where a part may have left already. False if it stays due, to leave after all."""
        values = {"message_id": message_id, "note": unknown_note, "note_id": uuid5(message_id, "note")}
        row = await self._database.row(_WITHHOLD, values)
        return row is not None and bool(row["withheld"])

    async def waiting_seq(self, conversation_id: UUID) -> int | None:
        """The newest message's number, if some wait to be answered."""
        row = await self._database.row(_WAITING, {"conversation_id": conversation_id})
        return None if row is None else int(row["newest_seq"])

    async def under_way_after(self, conversation_id: UUID, begin_seconds: float) -> int:
        """How many requests with the bot's words are under way, once none can begin any more.

        Each that was claimed before the call has begun or given way within *begin_seconds*: so long this waits.
        """
        until = time.monotonic() + begin_seconds
        while True:
            now = await self._under_way(conversation_id, begin_seconds)
            if not now.beginning or time.monotonic() >= until:
                return now.requests
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    async def _under_way(self, conversation_id: UUID, begin_seconds: float) -> RequestsUnderWay:
        row = await self._database.row(_UNDER_WAY, {"conversation_id": conversation_id, "begin_seconds": begin_seconds})
        return RequestsUnderWay.model_validate(dict(row or {}))

    async def sent(self, part: Part, channel_message_id: str) -> None:
        """The channel took it. A status that came before this answer stands."""
        outcome = EffectOutcome(status=EffectStatus.CONFIRMED, external_id=channel_message_id)
        await self._database.rows(COMPLETE, complete_values(part, outcome, reached=DeliveryState.SENT))

    async def give_up(self, message: DueMessage, failure: StrEnum, explanation: str | None, note: str | None) -> bool:
        """What is left of the message is not sent; *note* is for staff, in the conversation. False if it is not due any
        more, or is so under another version of the owner: then nothing is changed."""
        values = {
            "message_id": message.id,
            "owner_version": message.owner_version,
            "failure": failure,
            "error": dump_json({"explanation": explanation}) if explanation else None,
            "note_id": uuid5(message.id, "note"),
            "note": note,
        }
        row = await self._database.row(_GIVE_UP, values)
        return row is not None and bool(row["given_up"])

    async def supersede(self, message: DueMessage, dropped: str) -> None:
        """What is left of the message is not sent; where it called something open that is so no more, words of what was
        done before come in its place, or *dropped*. Nothing is changed as for `give_up`."""
        values = {"message_id": message.id, "owner_version": message.owner_version, "dropped": dropped}
        await self._database.rows(_SUPERSEDE, values)

    async def finish(self, message_id: UUID) -> None:
        """The message is delivered, or withheld where a part was. It stays due if a part is to be sent, or has failed,
        after all."""
        await self._database.rows(_FINISH, {"message_id": message_id})

    async def add_reply(
        self, conversation_id: UUID, text: str, *, author_name: str, key: str | None = None
    ) -> AddedReply | None:
        """What staff say to the customer; None where they are erased meanwhile. A call that came before under the same
        *key* is returned as it stands, also where the conversation was merged since."""
        values = {"conversation_id": conversation_id, "text": text, "author_name": author_name, "key": key}
        row = await self._database.row(_ADD_REPLY, values)
        return None if row is None else AddedReply.model_validate(dict(row))

    async def add(
        self,
        conversation_id: UUID,
        text: str,
        *,
        message_id: UUID,
        author: str,
        author_name: str | None = None,
        meta: dict[str, Any] | None = None,
        owner_version: int | None = None,
    ) -> AddedMessage:
        """A message that is no turn's reply. One with the same id that was added before stays as it is.

        *owner_version*: the owner's that the bot's words belong to; staff's own have none, and always leave.
        """
        values = {
            "id": message_id,
            "conversation_id": conversation_id,
            "author": author,
            "author_name": author_name,
            "text": text,
            "meta": dump_json(meta or {}),
            "owner_version": owner_version,
        }
        row = await self._database.row(_ADD, values)
        assert row is not None
        return AddedMessage.model_validate(dict(row))
