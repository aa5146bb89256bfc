"""The cookie of a person who signed in: a random token, and our signature of it.

The database keeps the token's hash alone; the signature, by SECRET_KEY, tells a guess without asking it. Cookies know
no ports, so several installations on one machine share the name `session` in one browser: each leaves the others'
tokens in it.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256

from config.served_address import ServedAddress
from config.settings import Settings

_BYTES = 32
_SIGNATURE_CHARACTERS = 32
_OTHERS = 3
_BETWEEN = ":"


@dataclass(frozen=True)
class SessionCookies:
    """*key*: SECRET_KEY; without one each process has its own, and whoever signs in at it is unknown to the others."""

    key: bytes

    @staticmethod
    def name(address: ServedAddress) -> str:
        """Over https one that no other host or plain page can set."""
        return "__Host-session" if address.is_https else "session"

    def new(self, value: str) -> tuple[str, str]:
        """A new token, and the cookie's value with it in the place of our own in *value*."""
        token = secrets.token_urlsafe(_BYTES)
        return token, _BETWEEN.join([f"{token}.{self._signature(token)}", *self._others(value)[:_OTHERS]])

    def without(self, value: str) -> str:
        """What is left of the cookie once ours is gone."""
        return _BETWEEN.join(self._others(value))

    def token(self, value: str) -> str | None:
        """Ours, None if there is none that we signed."""
        return next((token for token in map(self._ours, value.split(_BETWEEN)) if token), None)

    def csrf(self, token: str) -> str:
        """What each form of that session holds."""
        return self._signature(f"form {token}")

    def _others(self, value: str) -> list[str]:
        return [each for each in value.split(_BETWEEN) if each and self._ours(each) is None]

    def _ours(self, signed: str) -> str | None:
        token, _, signature = signed.partition(".")
        right = signature.isascii() and hmac.compare_digest(self._signature(token), signature)
        return token if token and right else None

    def _signature(self, text: str) -> str:
        digest = hmac.new(self.key, f"session {text}".encode("utf-8", "surrogateescape"), sha256).digest()
        return urlsafe_b64encode(digest).decode()[:_SIGNATURE_CHARACTERS]


def session_cookies(settings: Settings) -> SessionCookies:
    key = settings.secret_key
    return SessionCookies(key.get_secret_value().encode() if key else secrets.token_bytes(_BYTES))


def token_hash(token: str) -> bytes:
    """What the database knows of a token: random, ≥ 128 bits, so no slow hash is needed."""
    return sha256(token.encode()).digest()
