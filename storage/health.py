"""Whether a message could be stored now: what `/readyz` and `agent doctor` ask of PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass

from storage.database import Database, StorageUnavailable
from storage.migrate import is_current

_READ_ONLY = "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool AS read_only"

_SMALL_MEMORY = "SELECT set_config('work_mem', '64kB', true)"
_ROOM = "SELECT count(*) FROM (SELECT md5(n::text) AS word FROM generate_series(1, 6000) AS n ORDER BY word) AS words"
"""A sort of about half a megabyte that does not fit into memory, so the server writes it to its disk and removes it
again: no table, no transaction id, no log. A full disk shows before a customer's message meets it."""


@dataclass(frozen=True)
class StorageHealth:
    """*reason* is empty, or one line: why PostgreSQL does not answer or cannot write."""

    answers: bool
    writable: bool
    migrated: bool
    reason: str = ""

    @property
    def can_store(self) -> bool:
        return self.answers and self.writable and self.migrated


async def storage_health(database: Database) -> StorageHealth:
    """A handful of statements; the caller bounds how often they are asked."""
    try:
        migrated = await is_current(database)
    except StorageUnavailable as error:
        return StorageHealth(answers=False, writable=False, migrated=False, reason=str(error))
    reason = await _why_not_writable(database)
    return StorageHealth(answers=True, writable=not reason, migrated=migrated, reason=reason)


async def _why_not_writable(database: Database) -> str:
    try:
        async with database.transaction() as transaction:
            found = await transaction.rows(_READ_ONLY)
            if found[0]["read_only"]:
                return "it is read-only (a standby, or default_transaction_read_only is on)"
            await transaction.rows(_SMALL_MEMORY)
            await transaction.rows(_ROOM)
    except StorageUnavailable as error:
        return str(error)
    return ""
