"""What webhooks brought that had no effect, read back: `storage.delivery_reports` and the inbox keep it."""

from __future__ import annotations

from uuid import UUID

from schemas.cursors import Cursor, place_values
from schemas.leftovers import KeptLeftover, LeftoverSummary
from storage.database import Database

_SHOWN_BYTES = 20_000
"""Of what came in, in a list: a chat's whole history may have 3 MB."""

_COLUMNS = "id, channel, account, why, received_at, octet_length(raw::text) AS bytes"

_LIST = f"""
SELECT {_COLUMNS}, CASE WHEN octet_length(raw::text) <= {_SHOWN_BYTES} THEN raw END AS raw FROM leftovers
 WHERE CAST(:at AS timestamptz) IS NULL OR (received_at, id) < (:at, CAST(:id AS uuid))
 ORDER BY received_at DESC, id DESC LIMIT :limit
"""

_SUMMARIES = f"SELECT {_COLUMNS} FROM leftovers ORDER BY received_at DESC, id DESC LIMIT :limit"

_GET = f"SELECT {_COLUMNS}, raw FROM leftovers WHERE id = :id"


class Leftovers:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(self, limit: int, before: Cursor | None = None) -> list[KeptLeftover]:
        """Up to *limit* that came before *before*, newest first; long ones without what came in."""
        rows = await self._database.rows(_LIST, {"limit": limit, **place_values(before)})
        return [KeptLeftover.model_validate(dict(row)) for row in rows]

    async def summaries(self, limit: int) -> list[LeftoverSummary]:
        """Up to *limit*, newest first, without anybody's words."""
        rows = await self._database.rows(_SUMMARIES, {"limit": limit})
        return [LeftoverSummary.model_validate(dict(row)) for row in rows]

    async def get(self, leftover_id: UUID) -> KeptLeftover | None:
        """All of one; None if it is not kept (any more)."""
        row = await self._database.row(_GET, {"id": leftover_id})
        return None if row is None else KeptLeftover.model_validate(dict(row))
