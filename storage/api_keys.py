"""API keys: only their SHA-256 is stored (they are random, ≥ 128 bits, so no slow hash is needed)."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from pydantic import BaseModel

from storage.database import Database

_FIND = """
SELECT id, name, scopes FROM api_keys
 WHERE key_hash = :key_hash AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > agent_now())
"""

_ADD = """
INSERT INTO api_keys (name, key_hash, scopes, expires_at) VALUES (:name, :key_hash, :scopes, :expires_at)
ON CONFLICT (key_hash) DO NOTHING
"""


_REMEMBERED = 1_000


class ApiKey(BaseModel):
    """Who calls. An empty list of scopes allows every call."""

    id: UUID
    name: str
    scopes: list[str] = []


class ApiKeys:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, key: str) -> ApiKey | None:
        """The valid key, or None if it is unknown, revoked or expired."""
        row = await self._database.row(_FIND, {"key_hash": _digest(key)})
        return None if row is None else ApiKey.model_validate(dict(row))

    async def add(self, name: str, key: str | None = None, expires_at: datetime | None = None) -> str:
        """Stores *key* (made up if None) under *name* and returns it: the only time it can be seen."""
        chosen = key or f"pa_{secrets.token_urlsafe(32)}"
        await self._database.rows(
            _ADD, {"name": name, "key_hash": _digest(chosen), "scopes": [], "expires_at": expires_at}
        )
        return chosen


class KnownKeys:
    """Keys seen lately, so that a warm call costs no statement; a revoked key stops working within *seconds*."""

    def __init__(self, api_keys: ApiKeys, seconds: float) -> None:
        self._api_keys = api_keys
        self._seconds = seconds
        self._known: OrderedDict[bytes, tuple[float, ApiKey]] = OrderedDict()

    async def find(self, key: str) -> ApiKey | None:
        digest = _digest(key)
        known = self._known.get(digest)
        if known and known[0] > time.monotonic():
            return known[1]
        found = await self._api_keys.find(key)
        if found is not None:
            self._known[digest] = (time.monotonic() + self._seconds, found)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return found


def _digest(key: str) -> bytes:
    return sha256(key.encode()).digest()
