"""Everything kept about one customer, as one document: what an export hands out, and an erasure then removes.

Rows are given as they stand, every column; a column that is added later is exported without a change here.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from config.clock import utc_now
from storage.database import Database, Transaction

FORMAT = "perplexity-agent/customer/1"
_PAGE = 200
"""Rows a query: a raw output can have 180 KB."""

_MINE = "conversation_id IN (SELECT id FROM conversations WHERE customer_id = :customer_id)"

# Section → table, its key, which rows, and the order in which they are given.
_SECTIONS: dict[str, tuple[str, str, str, str]] = {
    "identities": ("channel_identities", "id", "customer_id = :customer_id", "created_at"),
    "former_identities": ("former_identities", "id", "customer_id = :customer_id", "until"),
    "conversations": ("conversations", "id", "customer_id = :customer_id", "created_at"),
    "threads": ("threads", "frontend_context_uuid", _MINE, "created_at"),
    "messages": ("messages", "id", _MINE, "stored_at"),
    "turns": ("turns", "id", _MINE, "started_at"),
    "raw_outputs": ("raw_outputs", "id", _MINE, "created_at"),
    "actions": ("actions", "id", _MINE, "created_at"),
    "effects": ("effects", "id", f"{_MINE} AND kind <> 'part'", "planned_at"),
    "tickets": ("tickets", "id", _MINE, "created_at"),
    "handoffs": ("handoffs", "id", _MINE, "opened_at"),
    "media": ("media", "id", _MINE, "created_at"),
    "transitions": ("transitions", "id", _MINE, "at"),
    "deliveries": ("deliveries", "id", _MINE, "created_at"),
}

_CUSTOMER = """
SELECT k.id, to_jsonb(k) AS row FROM customers k
 WHERE k.id = (SELECT coalesce(merged_into, id) FROM customers WHERE id = :customer_id)
"""
"""Or the one who they turned out to be."""

_FIRST = UUID(int=0)
_NUMBERED = {"transitions"}
"""Sections whose keys are numbers."""


class Exports:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def customer(self, customer_id: UUID) -> dict[str, Any]:
        """The customer's rows, section by section, oldest first, all as of one moment. Raises LookupError."""
        async with self._database.transaction("REPEATABLE READ") as transaction:
            found = await transaction.rows(_CUSTOMER, {"customer_id": customer_id})
            if not found:
                raise LookupError(f"no customer {customer_id}")
            customer_id = found[0]["id"]
            sections = {name: await _section(transaction, name, customer_id) for name in _SECTIONS}
        return {
            "format": FORMAT,
            "exported_at": utc_now().isoformat(),
            "customer": found[0]["row"],
            **sections,
        }


async def _section(transaction: Transaction, name: str, customer_id: UUID) -> list[dict[str, Any]]:
    """All rows of one section, read page by page in the order of their keys."""
    table, key, condition, order = _SECTIONS[name]
    statement = (
        f"SELECT {key} AS key, to_jsonb({table}) AS row FROM {table} "
        f"WHERE {condition} AND {key} > :after ORDER BY {key} LIMIT {_PAGE}"
    )
    rows: list[dict[str, Any]] = []
    after: UUID | int = 0 if name in _NUMBERED else _FIRST
    while page := await transaction.rows(statement, {"customer_id": customer_id, "after": after}):
        rows += [dict(each["row"]) for each in page]
        after = page[-1]["key"]
    return sorted(rows, key=lambda row: (datetime.fromisoformat(row[order]), row.get("seq") or 0))
