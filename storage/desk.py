"""The built-in ticket desk and the handoffs: effects that live in our own database.

Each is keyed by its place in the ledger, so doing it again finds what was done: never doubled, never unknown.
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from actions import gates
from actions.citations import without_citations
from schemas.conversation_ref import ConversationRef
from schemas.encoding import dump_json
from schemas.transitions import Event
from schemas.visible import shows_something
from storage.database import Database

_PREFIX = "T-"

_OPEN = """
WITH opened AS (
    INSERT INTO tickets (conversation_id, effect_key, subject, description, priority, category)
    VALUES (:conversation_id, :effect_key, :subject, :description, :priority, :category)
    ON CONFLICT (effect_key) DO NOTHING RETURNING number, status
)
SELECT number, status FROM opened, change_owner(:conversation_id, 'ticket_opened', CAST(:rules AS jsonb), :who, '',
                                                CAST(:turn_id AS uuid))
UNION ALL
SELECT number, status FROM tickets WHERE effect_key = :effect_key
LIMIT 1
"""

_IS_OPEN = "SELECT 1 FROM tickets WHERE effect_key = :effect_key AND status NOT IN ('resolved', 'closed')"

_FIND = """
SELECT number, subject, status, priority, created_at, updated_at FROM tickets
 WHERE conversation_id IN (SELECT c.id FROM conversations c JOIN conversations mine ON mine.customer_id = c.customer_id
                            WHERE mine.id = :conversation_id)
   AND (CAST(:number AS bigint) IS NULL OR number = :number)
 ORDER BY number DESC LIMIT 1
"""

_RESOLVE = """
WITH place AS MATERIALIZED (
    SELECT going_on(conversation_id) FROM tickets WHERE number = :number
), resolved AS (
    UPDATE tickets SET status = 'resolved', updated_at = agent_now()
     WHERE number = :number AND status NOT IN ('resolved', 'closed') AND EXISTS (SELECT 1 FROM place)
    RETURNING conversation_id
)
SELECT c.id AS conversation_id, c.workflow_id, c.channel, c.assistant, coalesce(changed.waiting_seq, 0) AS seq
  FROM resolved, change_owner(resolved.conversation_id, 'ticket_resolved', CAST(:rules AS jsonb), :who, '') AS changed,
       conversations c WHERE c.id = resolved.conversation_id
"""

_HAND_OFF = """
INSERT INTO handoffs (conversation_id, effect_key, team, reason, details, opened_by)
SELECT id, :effect_key, :team, :reason, CAST(:details AS jsonb), :opened_by FROM conversations
 WHERE id = :conversation_id AND owner_version = coalesce(CAST(:owner_version AS bigint), owner_version)
ON CONFLICT DO NOTHING
"""
"""Nobody is called where the owner has changed meanwhile: the end of the turn then changes nothing either."""


_DASHES = re.compile("[\u2010-\u2015\u2212\u2043\ufe58\ufe63\uff0d]")
_WITH_PREFIX = re.compile(r"(?<![^\W_])t[\s-]{0,3}([0-9]{1,17})(?![0-9])")
_BARE = re.compile(r"(?<![\w.-])([0-9]{1,17})(?![\w-]|\.[0-9])")


def number_of(ticket_id: str) -> int | None:
    """The number that a ticket's id means, in whatever dashes, marks or words it is written; None if it means none, or
    more than one: what cannot be read is not made plausible."""
    text = unicodedata.normalize("NFKC", without_citations(ticket_id)).casefold()
    text = _DASHES.sub("-", text).replace("_", " ")
    numbers = set(_WITH_PREFIX.findall(text)) or set(_BARE.findall(text))
    return int(numbers.pop()) if len(numbers) == 1 else None


class TicketState(StrEnum):
    """Where a ticket stands (`tickets.status`): open ──▶ resolved │ closed, and never back.

    `closed` counts as over wherever a ticket is looked at; nothing here sets it yet.
    """

    OPEN = "open"
    RESOLVED = "resolved"
    CLOSED = "closed"


class Ticket(BaseModel):
    """A ticket as its customer may know it."""

    ticket_id: str
    subject: str = ""
    status: TicketState
    priority: str = ""


class Desk:
    """Opens and finds tickets, records handoffs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open_ticket(
        self, conversation_id: UUID, effect_key: str, metadata: dict[str, Any], *, who: str, turn_id: UUID | None
    ) -> Ticket:
        """The ticket for *effect_key*, opened now or before. *metadata* as `CreateTicketMetadata`."""
        row = await self._database.row(
            _OPEN,
            {
                "conversation_id": conversation_id,
                "effect_key": effect_key,
                "subject": metadata["subject"],
                "description": metadata["description"],
                "priority": metadata.get("priority", "normal"),
                "category": metadata.get("category") or None,
                "rules": dump_json(gates.rules_of(Event.TICKET_OPENED)),
                "who": who,
                "turn_id": turn_id,
            },
        )
        assert row is not None
        return Ticket(ticket_id=f"{_PREFIX}{row['number']}", subject=metadata["subject"], status=row["status"])

    async def has_open_ticket(self, effect_key: str) -> bool:
        """Whether the ticket that this effect opened is neither resolved nor closed."""
        row = await self._database.row(_IS_OPEN, {"effect_key": effect_key})
        return row is not None

    async def find_ticket(self, conversation_id: UUID, ticket_id: str) -> Ticket | None:
        """This customer's own ticket of that id, or the newest if it is empty; never another customer's."""
        number = number_of(ticket_id) if shows_something(ticket_id) else None
        if number is None and shows_something(ticket_id):
            return None
        row = await self._database.row(_FIND, {"conversation_id": conversation_id, "number": number})
        if row is None:
            return None
        return Ticket(
            ticket_id=f"{_PREFIX}{row['number']}",
            subject=row["subject"],
            status=row["status"],
            priority=row["priority"],
        )

    async def resolve_ticket(self, ticket_id: str, *, who: str) -> ConversationRef | None:
        """Ends an open ticket: the conversation it belongs to; None if there is no such open one.

        Its `seq` is not 0 where that lets the bot answer what was held while the ticket was open.
        """
        digits = ticket_id.strip().upper().removeprefix(_PREFIX)
        if not (digits.isascii() and digits.isdigit() and len(digits) < 18):
            return None
        rules = dump_json(gates.rules_of(Event.TICKET_RESOLVED))
        row = await self._database.row(_RESOLVE, {"number": int(digits), "rules": rules, "who": who})
        return None if row is None else ConversationRef.model_validate(dict(row))

    async def hand_off(
        self,
        conversation_id: UUID,
        effect_key: str,
        *,
        team: str,
        reason: str,
        details: dict[str, Any],
        opened_by: str,
        owner_version: int | None,
    ) -> None:
        """Records that a human is called. One handoff is open at most; a second call changes nothing.

        *owner_version*: as the effect's own (`schemas.effects.LedgerRow`).
        """
        await self._database.rows(
            _HAND_OFF,
            {
                "conversation_id": conversation_id,
                "effect_key": effect_key,
                "team": team,
                "reason": reason,
                "details": dump_json(details),
                "opened_by": opened_by,
                "owner_version": owner_version,
            },
        )
