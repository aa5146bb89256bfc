"""People who work with the system: their roles and passwords (argon2id, OWASP's smallest recommended cost)."""

from __future__ import annotations

import asyncio
from typing import Literal
from uuid import UUID

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from config.values import email_address, trouble_with_password
from storage.database import Database

Role = Literal["admin", "operator", "viewer"]

_ADD = """
WITH added AS (
    INSERT INTO users (email, name, role, password_hash) VALUES (:email, :name, :role, :password_hash)
    ON CONFLICT (email) DO NOTHING RETURNING id
), noted AS (
    INSERT INTO audit (actor, deed, subject, details)
    SELECT :actor, 'user.added', 'user/' || id, jsonb_build_object('role', CAST(:role AS text)) FROM added
)
SELECT id FROM added
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


class UserRefused(ValueError):
    """An account cannot be made so; the message is one line for whoever asked."""


class Users:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, email: str, *, name: str, role: Role, password: str, actor: str) -> str:
        """A new account; returns its e-mail address as it is kept, in lower case. Raises UserRefused."""
        address = checked_email(email)
        if "\x00" in name or len(name) > 200:
            raise UserRefused("the name must have at most 200 characters, and no NUL")
        check_password(password)
        hashed = await _hashed(password)
        values = {"email": address, "name": name, "role": role, "password_hash": hashed, "actor": actor}
        if await self._database.row(_ADD, values) is None:
            raise UserRefused(f"there is a user {address} already")
        return address

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
