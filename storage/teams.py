"""Whose conversation it is: the team's that its open handoff calls, and the person's who took it."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from schemas.access import Whose
from storage.database import Database

_WHOSE = """
SELECT h.team = ANY(CAST(:teams AS text[])) OR taken.who IS NOT DISTINCT FROM :who AS own,
       EXISTS (SELECT 1 FROM users u WHERE h.team = ANY(u.teams) AND u.disabled_at IS NULL) AS staffed
  FROM conversations c JOIN handoffs h ON h.conversation_id = coalesce(c.merged_into, c.id) AND h.released_at IS NULL
  LEFT JOIN LATERAL (
       SELECT x.who FROM transitions x JOIN conversations m ON m.id = x.conversation_id
        WHERE h.conversation_id IN (m.id, m.merged_into) AND x.why = 'taken' AND x.at >= h.opened_at
        ORDER BY x.id DESC LIMIT 1) taken ON true
 WHERE c.id = :conversation_id
"""

_NOTE = """
INSERT INTO audit (actor, deed, subject, details)
SELECT :who, 'conversation.taken_from_a_team', 'conversation/' || h.conversation_id, jsonb_build_object('team', h.team)
  FROM handoffs h WHERE h.conversation_id = :conversation_id AND h.released_at IS NULL
"""


class Teams:
    """A team that nobody is in, or nobody any more, is none: whoever is an agent answers for it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def whose(self, conversation_id: UUID, *, who: str, teams: Collection[str]) -> Whose:
        """As *who*, of *teams*, sees it. NONE of a conversation that nobody is called to."""
        values = {"conversation_id": conversation_id, "who": who, "teams": sorted(teams)}
        row = await self._database.row(_WHOSE, values)
        if row is None:
            return Whose.NONE
        return Whose.OWN if row["own"] else Whose.OTHER if row["staffed"] else Whose.NONE

    async def conversation_of_effect(self, effect_id: UUID) -> UUID | None:
        """Of an action's effect, or a part of a reply."""
        row = await self._database.row("SELECT conversation_id FROM effects WHERE id = :id", {"id": effect_id})
        return None if row is None else UUID(str(row["conversation_id"]))

    async def note_taken(self, conversation_id: UUID, *, who: str) -> None:
        """That somebody of another team took it."""
        await self._database.rows(_NOTE, {"conversation_id": conversation_id, "who": who})
