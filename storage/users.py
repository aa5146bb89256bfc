"""People who work with the system: their roles and passwords (argon2id, OWASP's smallest recommended cost)."""

from __future__ import annotations

import asyncio
import re
from typing import Literal

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from storage.database import Database

Role = Literal["admin", "operator", "viewer"]

MIN_CHARACTERS, MAX_CHARACTERS = 10, 1_000

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

_PASSWORDS = PasswordHash((Argon2Hasher(memory_cost=19_456, time_cost=2, parallelism=1),))  # memory in KiB

_EMAIL = re.compile(r"[^\s@]+@[^\s@]+")


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
        hashed = await asyncio.to_thread(_PASSWORDS.hash, password)
        values = {"email": address, "name": name, "role": role, "password_hash": hashed, "actor": actor}
        if await self._database.row(_ADD, values) is None:
            raise UserRefused(f"there is a user {address} already")
        return address


def checked_email(email: str) -> str:
    """In lower case. Raises UserRefused."""
    address = email.strip().lower()
    if not _EMAIL.fullmatch(address) or not address.isprintable() or len(address) > 254:
        raise UserRefused(f"{email!r} is no e-mail address")
    return address


def check_password(password: str) -> None:
    """Raises UserRefused, without showing it."""
    if not MIN_CHARACTERS <= len(password) <= MAX_CHARACTERS:
        raise UserRefused(f"the password must have {MIN_CHARACTERS} to {MAX_CHARACTERS:,} characters")
    if "\x00" in password:
        raise UserRefused("the password must not hold a NUL character")
