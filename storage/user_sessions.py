"""Who is signed in: a row a session, known by its token's hash, ended here and not in the browser.

A session's life: begun at sign-in ──▶ ended (signed out, revoked, the password changed, the account disabled) or
expired. The one of the start's link is nobody's account; it is its link's only one.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from schemas.access import Role
from storage.database import Database

_KEPT_SECONDS = 30 * 86_400.0
"""Of sessions that are over."""

_BEGIN = """
WITH forgotten AS (
    DELETE FROM user_sessions WHERE expires_at < agent_now() - make_interval(secs => :kept) AND link_hash IS NULL
), begun AS (
    INSERT INTO user_sessions (user_id, token_hash, link_hash, address, browser, expires_at)
    VALUES (:user_id, :token_hash, :link_hash, :address, :browser, agent_now() + make_interval(secs => :seconds))
    ON CONFLICT (link_hash) DO NOTHING RETURNING id
), noted AS (
    INSERT INTO audit (actor, deed, subject, details)
    SELECT :actor, 'session.begun', 'session/' || id, jsonb_build_object('address', CAST(:address AS text)) FROM begun
)
SELECT id FROM begun
"""

_FIND = """
SELECT s.id, s.user_id, u.email, coalesce(u.name, '') AS name, coalesce(u.role, 'admin') AS role,
       coalesce(u.teams, '{}') AS teams
  FROM user_sessions s LEFT JOIN users u ON u.id = s.user_id
 WHERE s.token_hash = :token_hash AND s.ended_at IS NULL AND s.expires_at > agent_now() AND u.disabled_at IS NULL
"""

_END = """
WITH ended AS (
    UPDATE user_sessions SET ended_at = agent_now()
     WHERE id = :id AND user_id IS NOT DISTINCT FROM :user_id AND ended_at IS NULL RETURNING id
), noted AS (
    INSERT INTO audit (actor, deed, subject) SELECT :actor, 'session.ended', 'session/' || id FROM ended
)
SELECT id FROM ended
"""

_END_BY_TOKEN = """
WITH ended AS (
    UPDATE user_sessions SET ended_at = agent_now() WHERE token_hash = :token_hash AND ended_at IS NULL RETURNING id
)
INSERT INTO audit (actor, deed, subject) SELECT :actor, 'session.ended', 'session/' || id FROM ended
"""

_OF = """
SELECT id, address, browser, created_at, expires_at FROM user_sessions
 WHERE user_id IS NOT DISTINCT FROM :user_id AND ended_at IS NULL AND expires_at > agent_now()
 ORDER BY created_at DESC
"""


class SignedIn(BaseModel):
    """A session in force. Without a user it came by the start's link, and may do everything."""

    id: UUID
    user_id: UUID | None
    email: str | None
    name: str
    role: Role
    teams: tuple[str, ...]


class UserSession(BaseModel):
    """One line of the list: where it was begun, and with what."""

    id: UUID
    address: str
    browser: str
    created_at: datetime
    expires_at: datetime


class UserSessions:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(
        self,
        user_id: UUID | None,
        token_hash: bytes,
        *,
        actor: str,
        lasts_seconds: float,
        address: str,
        browser: str,
        link_hash: bytes | None = None,
    ) -> bool:
        """False if a session came by that link before."""
        values = {"user_id": user_id, "token_hash": token_hash, "link_hash": link_hash, "kept": _KEPT_SECONDS}
        told = {"address": address, "browser": browser, "actor": actor, "seconds": lasts_seconds}
        return await self._database.row(_BEGIN, values | told) is not None

    async def find(self, token_hash: bytes) -> SignedIn | None:
        row = await self._database.row(_FIND, {"token_hash": token_hash})
        return None if row is None else SignedIn.model_validate(dict(row))

    async def end(self, session_id: UUID, user_id: UUID | None, *, actor: str) -> bool:
        """Ends one of that user's sessions; False if they have no such one."""
        values = {"id": session_id, "user_id": user_id, "actor": actor}
        return await self._database.row(_END, values) is not None

    async def end_by_token(self, token_hash: bytes, *, actor: str) -> None:
        await self._database.rows(_END_BY_TOKEN, {"token_hash": token_hash, "actor": actor})

    async def of(self, user_id: UUID | None) -> list[UserSession]:
        """Those in force, newest first."""
        return [UserSession.model_validate(dict(row)) for row in await self._database.rows(_OF, {"user_id": user_id})]
