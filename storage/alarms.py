"""What somebody has to see to: a row for each thing, with how often and when it was met. Each is logged as well."""

from __future__ import annotations

from config import metrics
from config.logs import get_logger
from storage.database import Database

log = get_logger(__name__)

_RAISE = """
INSERT INTO alarms (kind, subject, detail) VALUES (:kind, :subject, :detail)
ON CONFLICT (kind, subject) DO UPDATE
   SET times = alarms.times + 1, last_at = agent_now(), detail = excluded.detail
RETURNING times
"""


class Alarms:
    """Raised by whoever meets the trouble; no words of anybody go in, but names and reasons of ours."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ring(self, kind: str, subject: str, detail: str) -> None:
        """Once more: the row counts it, and so do the log and the metrics."""
        metrics.ALARMS.labels(kind).inc()
        row = await self._database.row(_RAISE, {"kind": kind, "subject": subject, "detail": detail})
        log.error("alarm", kind=kind, subject=subject, detail=detail, times=row["times"] if row else 1)
