"""Files that customers sent: which are to be fetched, and what became of each."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from uuid import UUID, uuid5

from pydantic import BaseModel

from storage.database import Database

_DUE = """
SELECT id, channel, account, channel_media_id, mime_type, announced_sha256, filename, attempts FROM media
 WHERE status = 'due' AND (CAST(:conversation_id AS uuid) IS NULL OR conversation_id = :conversation_id)
   AND (attempts = 0 OR updated_at < agent_now() - make_interval(secs => :pause))
   AND created_at <= agent_now() - make_interval(secs => :after)
 ORDER BY updated_at LIMIT :limit
"""

_KEPT = """
UPDATE media SET status = 'kept', sha256 = :sha256, size = :size, mime_type = :mime_type, problem = NULL,
       attempts = attempts + 1, updated_at = agent_now()
 WHERE id = :id AND status = 'due'
"""

_FAILED = """
WITH held AS MATERIALIZED (
    SELECT id, channel FROM conversations WHERE id = (SELECT conversation_id FROM media WHERE id = :id) FOR KEY SHARE
), failed AS (
    UPDATE media SET status = CASE WHEN :final THEN 'refused' ELSE 'due' END, problem = :problem,
           attempts = attempts + 1, updated_at = agent_now()
      FROM held WHERE media.id = :id AND media.status = 'due'
    RETURNING held.id AS conversation_id, held.channel
)
INSERT INTO messages (id, conversation_id, direction, author, channel, id_scope, kind, text)
SELECT CAST(:note_id AS uuid), conversation_id, 'event', 'assistant', channel, '', 'note', :note
  FROM failed WHERE :final ON CONFLICT DO NOTHING
"""
"""The conversation is held first, in the order in which all take them; the note is for staff."""


class MediaState(StrEnum):
    """Where a file stands (`media.status`).

    due ──▶ kept
     │
     ├──a failure that may pass──▶ due      until MEDIA_ATTEMPTS are used up
     └──▶ refused                           for good, or its customer is erased
    """

    DUE = "due"  #: to be fetched
    KEPT = "kept"  #: its bytes lie in MEDIA_DIR
    REFUSED = "refused"  #: never fetched; `problem` says why


class DueFile(BaseModel):
    """A file at the channel. `announced_sha256` is as the channel wrote it."""

    id: UUID
    channel: str
    account: str
    channel_media_id: str
    mime_type: str
    announced_sha256: str | None = None
    filename: str | None = None
    attempts: int = 0


class Media:
    """What is known of files; the bytes lie in MEDIA_DIR under their SHA-256."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(
        self, limit: int, *, conversation_id: UUID | None = None, after_seconds: float = 0, pause_seconds: float = 0
    ) -> Sequence[DueFile]:
        """Files to fetch: of one conversation, or all that came more than *after_seconds* ago.

        One that failed before is due again after *pause_seconds*.
        """
        values = {
            "limit": limit,
            "conversation_id": conversation_id,
            "after": after_seconds,
            "pause": pause_seconds,
        }
        return [DueFile.model_validate(dict(row)) for row in await self._database.rows(_DUE, values)]

    async def kept(self, file: DueFile, *, sha256: str, size: int, mime_type: str) -> None:
        await self._database.rows(_KEPT, {"id": file.id, "sha256": sha256, "size": size, "mime_type": mime_type})

    async def failed(self, file: DueFile, problem: str, *, final: bool) -> None:
        """One more failure; *final*: it is never fetched, and staff read so in the conversation."""
        values = {"id": file.id, "problem": problem, "final": final}
        note = f"A file that the customer sent could not be kept: {problem}"
        await self._database.rows(_FAILED, values | {"note_id": uuid5(file.id, "note"), "note": note})
