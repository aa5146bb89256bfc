"""API keys: only their SHA-256 is stored (they are random, ≥ 128 bits, so no slow hash is needed).

A key's life: added ──▶ in force ──▶ expired (by time) or revoked (by hand, or another API_KEY took its place).
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Collection, Mapping
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from pydantic import BaseModel

from config.clock import Clock
from schemas.access import FIRST_SCOPES, Scope
from storage.database import Database

FIRST = "first key"
"""The name of API_KEY."""

_REPLACED = "API_KEY"

_IN_FORCE = """
SELECT key_hash, id, name, scopes, expires_at FROM api_keys
 WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > agent_now())
"""

_ADD = """
WITH added AS (
    INSERT INTO api_keys (name, key_hash, scopes, expires_at)
    VALUES (:name, :key_hash, CAST(:scopes AS text[]), :expires_at) ON CONFLICT DO NOTHING RETURNING id
), noted AS (
    INSERT INTO audit (actor, deed, subject, details)
    SELECT :actor, 'key.added', 'key/' || id, jsonb_build_object('scopes', CAST(:scopes AS text[])) FROM added
)
SELECT id FROM added
"""

_REPLACE_FIRST = """
UPDATE api_keys SET revoked_at = agent_now(), revoked_by = :by
 WHERE name = :name AND revoked_at IS NULL AND key_hash <> :key_hash
   AND NOT EXISTS (SELECT 1 FROM api_keys k WHERE k.key_hash = :key_hash AND k.revoked_by <> :by)
"""
"""A key that somebody revoked stays so, and takes nobody's place."""

_ADD_FIRST = """
INSERT INTO api_keys (name, key_hash, scopes) VALUES (:name, :key_hash, CAST(:scopes AS text[]))
ON CONFLICT (key_hash) DO UPDATE SET revoked_at = NULL, revoked_by = NULL WHERE api_keys.revoked_by = :by
"""

_IS_IN_FORCE = "SELECT 1 FROM api_keys WHERE key_hash = :key_hash AND revoked_at IS NULL"

_LIST = """
SELECT id, name, scopes, created_at, expires_at, revoked_at, coalesce(expires_at <= agent_now(), false) AS expired
  FROM api_keys ORDER BY revoked_at IS NOT NULL, name, created_at
"""

_REVOKE = """
WITH ended AS (
    UPDATE api_keys SET revoked_at = agent_now(), revoked_by = :actor
     WHERE revoked_at IS NULL AND (name = :key OR id::text = :key) RETURNING id, name
), noted AS (
    INSERT INTO audit (actor, deed, subject) SELECT :actor, 'key.revoked', 'key/' || id FROM ended
)
SELECT name FROM ended
"""


class ApiKey(BaseModel):
    """Who calls. Without a scope nothing is permitted."""

    id: UUID
    name: str
    scopes: frozenset[Scope]
    expires_at: datetime | None = None

    @property
    def who(self) -> str:
        """As entries of the audit name it."""
        return f"api key {self.name}"


class ListedKey(ApiKey):
    """One that may be over."""

    created_at: datetime
    revoked_at: datetime | None
    expired: bool


class KeyRefused(ValueError):
    """A key cannot be made so; the message is one line for whoever asked."""


class ApiKeys:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def in_force(self) -> dict[bytes, ApiKey]:
        """All of them, by their hash."""
        rows = await self._database.rows(_IN_FORCE)
        return {bytes(row["key_hash"]): ApiKey.model_validate(dict(row)) for row in rows}

    async def add(
        self,
        name: str,
        key: str | None = None,
        *,
        scopes: Collection[Scope],
        actor: str,
        expires_at: datetime | None = None,
    ) -> str:
        """Stores *key* (made up if None) under *name* and returns it: the only time it can be seen. Raises KeyRefused
        where a key in force, or one that expired and was not revoked, has that name."""
        chosen = key or f"pa_{secrets.token_urlsafe(32)}"
        values = {"name": name, "key_hash": _digest(chosen), "scopes": sorted(scopes), "actor": actor}
        if await self._database.row(_ADD, {**values, "expires_at": expires_at}) is None:
            raise KeyRefused(f"there is a key {name!r} already: revoke it first, or choose another name")
        return chosen

    async def keep_first(self, key: str) -> bool:
        """API_KEY is in force from now on, in the place of an earlier one. False: it was revoked by hand, and stays
        so."""
        values = {"name": FIRST, "key_hash": _digest(key), "by": _REPLACED}
        async with self._database.transaction() as transaction:
            await transaction.rows("LOCK TABLE api_keys IN SHARE ROW EXCLUSIVE MODE")  # processes start together
            await transaction.rows(_REPLACE_FIRST, values)
            await transaction.rows(_ADD_FIRST, {**values, "scopes": sorted(FIRST_SCOPES)})
            return bool(await transaction.rows(_IS_IN_FORCE, {"key_hash": values["key_hash"]}))

    async def all(self) -> list[ListedKey]:
        """Those that are over come last."""
        return [ListedKey.model_validate(dict(row)) for row in await self._database.rows(_LIST)]

    async def revoke(self, key: str, *, actor: str) -> str | None:
        """Ends the key of that name or id; its name, or None if none such is in force."""
        row = await self._database.row(_REVOKE, {"key": key, "actor": actor})
        return None if row is None else str(row["name"])


class KnownKeys:
    """All keys in force, read at most once each *seconds*: a key that is added or revoked is so within them, and one
    that is guessed costs no statement of its own, however many are."""

    def __init__(self, api_keys: ApiKeys, seconds: float, now: Clock) -> None:
        self._api_keys = api_keys
        self._seconds = seconds
        self._now = now
        self._known: Mapping[bytes, ApiKey] = {}
        self._read_again = 0.0
        self._reading: asyncio.Task[None] | None = None

    async def find(self, key: str) -> ApiKey | None:
        """The key, if it is in force. Raises StorageUnavailable while nobody can say."""
        if time.monotonic() >= self._read_again:
            await self._read_once()
        found = self._known.get(_digest(key))
        over = found is not None and found.expires_at is not None and found.expires_at <= self._now()
        return None if over else found

    async def _read_once(self) -> None:
        """One reading for all who wait for it."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
            self._reading.add_done_callback(_looked_at)
        await asyncio.shield(self._reading)

    async def _read(self) -> None:
        began = time.monotonic()
        self._known = await self._api_keys.in_force()
        self._read_again = began + self._seconds


def _looked_at(reading: asyncio.Task[None]) -> None:
    """So that one whose callers have all left causes no warning."""
    if not reading.cancelled():
        reading.exception()


def _digest(key: str) -> bytes:
    return sha256(key.encode()).digest()
