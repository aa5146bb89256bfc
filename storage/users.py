"""People who work with the system: their roles and passwords (argon2id, OWASP's smallest recommended cost)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from pydantic import BaseModel

from config.values import email_address, trouble_with_password
from schemas.access import Role
from schemas.encoding import dump_json
from storage.database import Database

_ADD = """
WITH added AS (
    INSERT INTO users (email, name, role, password_hash, teams, slack, whatsapp, language, hours)
    VALUES (:email, :name, :role, :password_hash, CAST(:teams AS text[]), :slack, :whatsapp, :language, :hours)
    ON CONFLICT (email) DO NOTHING RETURNING id
), noted AS (
    INSERT INTO audit (actor, deed, subject, details)
    SELECT :actor, 'user.added', 'user/' || id,
           jsonb_build_object('role', CAST(:role AS text), 'teams', CAST(:teams AS text[])) FROM added
)
SELECT id FROM added
"""

_SET = """
WITH changed AS (
    UPDATE users SET {changes} WHERE email = :email RETURNING id
), noted AS (
    INSERT INTO audit (actor, deed, subject, details)
    SELECT :actor, :deed, 'user/' || id, CAST(:details AS jsonb) FROM changed
), ended AS (
    UPDATE user_sessions s SET ended_at = agent_now() FROM changed
     WHERE s.user_id = changed.id AND s.ended_at IS NULL AND CAST(:signs_out AS boolean)
)
SELECT id FROM changed
"""

_LIST = """
SELECT email, name, role, teams, away, disabled_at FROM users ORDER BY disabled_at IS NOT NULL, email
"""

_ADD_FIRST = """
WITH added AS (
    INSERT INTO users (email, name, role, password_hash)
    SELECT :email, '', 'admin', :password_hash WHERE NOT EXISTS (SELECT 1 FROM users WHERE role = 'admin')
    ON CONFLICT (email) DO NOTHING RETURNING id
), noted AS (
    INSERT INTO audit (actor, deed, subject, details)
    SELECT 'ADMIN_EMAIL', 'user.added', 'user/' || id, '{"role": "admin"}' FROM added
)
SELECT id FROM added
"""

_HASH_OF = "SELECT id, password_hash FROM users WHERE email = :email AND disabled_at IS NULL"

_NOBODYS = "$argon2id$v=19$m=19456,t=2,p=1$kYgb3ZRcyQ9Y1DOGm48Uxw$+N4d1CzKYVvyHs6S5B2EpAmh7Go2kMSTjK5kPYDQ6KU"
"""Of a password that nobody knows: an unknown name takes as long as a wrong password."""

_PASSWORDS = PasswordHash((Argon2Hasher(memory_cost=19_456, time_cost=2, parallelism=1),))  # memory in KiB


_CHANGES = {
    **{name: f"{name} = :{name}" for name in ("name", "role", "slack", "whatsapp", "language", "hours", "away")},
    "teams": "teams = CAST(:teams AS text[])",
    "password_hash": "password_hash = :password_hash",
    "disabled": "disabled_at = CASE WHEN CAST(:disabled AS boolean) THEN coalesce(disabled_at, agent_now()) END",
}


class Contact(BaseModel):
    """How colleagues and notifications reach somebody, and when."""

    slack: str | None = None
    whatsapp: str | None = None
    language: str | None = None
    hours: str | None = None


class Changes(Contact):
    """What is set of an account; what is left out stays."""

    name: str = ""
    role: Role = Role.VIEWER
    teams: list[str] = []
    away: bool = False
    disabled: bool = False


class User(BaseModel):
    """One line of the list."""

    email: str
    name: str
    role: Role
    teams: list[str]
    away: bool
    disabled_at: datetime | None


class UserRefused(ValueError):
    """An account cannot be made so; the message is one line for whoever asked."""


class Users:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self,
        email: str,
        *,
        name: str,
        role: Role,
        password: str,
        actor: str,
        teams: Collection[str] = (),
        contact: Contact | None = None,
    ) -> str:
        """A new account; returns its e-mail address as it is kept, in lower case. Raises UserRefused."""
        address = checked_email(email)
        if "\x00" in name or len(name) > 200:
            raise UserRefused("the name must have at most 200 characters, and no NUL")
        check_password(password)
        hashed = await _hashed(password)
        values = {"email": address, "name": name, "role": role, "password_hash": hashed, "actor": actor}
        reached = {"teams": sorted(set(teams)), **(contact or Contact()).model_dump()}
        if await self._database.row(_ADD, {**values, **reached}) is None:
            raise UserRefused(f"there is a user {address} already")
        return address

    async def set(self, email: str, changes: Changes, *, actor: str) -> bool:
        """Changes what *changes* names; False if there is no such user."""
        given = changes.model_dump(exclude_unset=True, mode="json")
        if not given:
            return bool(await self._database.row("SELECT 1 FROM users WHERE email = :email", {"email": email}))
        return await self._set(email, given, "user.changed", given, actor=actor)

    async def disable(self, email: str, *, actor: str) -> bool:
        """Nobody signs in under it any more, and who is signed in is so no more. False if there is no such user."""
        return await self._set(email, {"disabled": True}, "user.disabled", {}, actor=actor, signs_out=True)

    async def set_password(self, email: str, password: str, *, actor: str) -> bool:
        """Whoever is signed in under it has to do so anew. Raises UserRefused; False if there is no such user."""
        check_password(password)
        changes = {"password_hash": await _hashed(password)}
        return await self._set(email, changes, "user.password", {}, actor=actor, signs_out=True)

    async def all(self) -> list[User]:
        """Those that are disabled come last."""
        return [User.model_validate(dict(row)) for row in await self._database.rows(_LIST)]

    async def _set(
        self,
        email: str,
        changes: Mapping[str, object],
        deed: str,
        details: Mapping[str, object],
        *,
        actor: str,
        signs_out: bool = False,
    ) -> bool:
        statement = _SET.format(changes=", ".join(_CHANGES[name] for name in changes))
        values = {"email": email, "actor": actor, "deed": deed, "details": dump_json(details), "signs_out": signs_out}
        return await self._database.row(statement, {**values, **changes}) is not None

    async def add_first(self, email: str, password: str) -> bool:
        """An administrator, where there is none."""
        if await self._database.row("SELECT 1 FROM users WHERE role = 'admin'"):
            return False
        values = {"email": email, "password_hash": await _hashed(password)}
        return await self._database.row(_ADD_FIRST, values) is not None

    async def with_password(self, email: str, password: str) -> UUID | None:
        """The account in force with that e-mail address and password. What is wrong does not show, in time either."""
        try:
            address = checked_email(email)
        except UserRefused:
            address = ""
        row = await self._database.row(_HASH_OF, {"email": address})
        known = str(row["password_hash"]) if row and row["password_hash"] else _NOBODYS
        right = await asyncio.to_thread(_PASSWORDS.verify, password, known)
        return UUID(str(row["id"])) if row and right else None


async def _hashed(password: str) -> str:
    return await asyncio.to_thread(_PASSWORDS.hash, password)


def checked_email(email: str) -> str:
    """In lower case. Raises UserRefused."""
    try:
        address = email_address(email)
    except ValueError:
        address = None
    if address is None:
        raise UserRefused(f"{email!r} is no e-mail address")
    return address


def check_password(password: str) -> None:
    """Raises UserRefused, without showing it."""
    if trouble := trouble_with_password(password):
        raise UserRefused(f"the password must have {trouble}")
