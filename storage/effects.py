"""The ledger read back, and a human's word on an effect of which nobody knows what became of it."""

from __future__ import annotations

from uuid import UUID

from schemas.cursors import Cursor, place_values
from schemas.effects import Effect, EffectStatus
from storage.database import Database

_COLUMNS = """id, key, conversation_id, turn_id, replace(kind, 'action:', '') AS kind, status, attempts AS attempt,
              external_id, error ->> 'explanation' AS error, planned_at, settled_at, settled_by, note"""

_LIST = f"""
SELECT {_COLUMNS} FROM effects
 WHERE kind <> 'part' AND (CAST(:status AS text) IS NULL OR status = :status)
   AND (CAST(:at AS timestamptz) IS NULL OR (planned_at, id) < (:at, CAST(:id AS uuid)))
 ORDER BY planned_at DESC, id DESC LIMIT :limit
"""

_RESOLVE = f"""
WITH resolved AS (
    UPDATE effects SET status = :outcome, fence = fence + 1, settled_at = agent_now(),
           settled_by = :settled_by, note = :note
     WHERE id = :id AND status = 'unknown' AND kind <> 'part' RETURNING *
), noted AS (
    INSERT INTO audit (actor, deed, subject, details)
    SELECT :settled_by, 'effect.resolved', 'effect/' || id, jsonb_build_object('outcome', CAST(:outcome AS text))
      FROM resolved
)
SELECT {_COLUMNS} FROM resolved
"""

_GET = f"SELECT {_COLUMNS} FROM effects WHERE id = :id AND kind <> 'part'"


class NotUnknown(Exception):
    """The effect is known already; `effect` says what is known of it, and the message in words."""

    def __init__(self, effect: Effect) -> None:
        said = f", as {effect.settled_by} said" if effect.settled_by else ""
        said += f": {effect.note}" if effect.note else ""
        super().__init__(f"{effect.status}{said}")
        self.effect = effect


class Effects:
    """Reads the ledger; only an `unknown` effect can be settled by hand, once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(
        self, limit: int, status: EffectStatus | None = None, before: Cursor | None = None
    ) -> list[Effect]:
        """Up to *limit* effects planned before *before*, newest first."""
        rows = await self._database.rows(_LIST, {"status": status, "limit": limit, **place_values(before)})
        return [Effect.model_validate(dict(row)) for row in rows]

    async def resolve(self, effect_id: UUID, outcome: str, *, note: str, settled_by: str) -> Effect | None:
        """The effect, settled as a human says; None if there is none. Raises NotUnknown.

        Said again in the same words by the same person, it is returned as it is; of an erased customer no words are
        kept, and the outcome alone counts.
        """
        values = {"id": effect_id, "outcome": outcome, "note": note, "settled_by": settled_by}
        row = await self._database.row(_RESOLVE, values)
        if row is not None:
            return Effect.model_validate(dict(row))
        row = await self._database.row(_GET, {"id": effect_id})
        if row is None:
            return None
        known = Effect.model_validate(dict(row))
        if (known.status, known.settled_by, known.note or note) != (outcome, settled_by, note):
            raise NotUnknown(known)
        return known
