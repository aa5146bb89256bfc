"""Who may see the dashboard: whoever came by the one-time link that the start printed.

The link's token is used up by its first use in a process; then a signed cookie says until when its holder may look.
Cookies ignore ports, so the cookie's name tells apart installations that one browser visits on one machine.
"""

from __future__ import annotations

import hmac
import secrets
import time
from hashlib import sha256

from fastapi import Request, Response

from config.settings import Settings

PATH = "/dashboard"
_NAME_CHARACTERS = 12


class Visitors:
    """Lets in once by the link, then by the cookie."""

    def __init__(self, settings: Settings) -> None:
        token = settings.admin_link_token
        self._token: str | None = token.get_secret_value() if token else None
        key = settings.secret_key
        self._key = (key.get_secret_value() if key else secrets.token_urlsafe(32)).encode()
        self._cookie = f"agent_dashboard_{self._signed('name')[:_NAME_CHARACTERS]}"
        self._seconds = settings.dashboard_session_seconds
        self._secure = (settings.public_url or "").startswith("https://")

    def enter(self, token: str, response: Response) -> bool:
        """Sets the cookie if *token* is the link's and unused."""
        if self._token is None or not hmac.compare_digest(self._token.encode(), token.encode()):
            return False
        self._token = None  # a link signs in once
        until = str(int(time.time() + self._seconds))
        response.set_cookie(
            self._cookie,
            f"{until}.{self._signed(until)}",
            max_age=int(self._seconds),
            path=PATH,
            httponly=True,
            samesite="strict",
            secure=self._secure,
        )
        return True

    def knows(self, request: Request) -> bool:
        """Whether the cookie is ours and in force."""
        until, _, signature = request.cookies.get(self._cookie, "").partition(".")
        right = hmac.compare_digest(self._signed(until).encode(), signature.encode())
        return right and until.isascii() and until.isdigit() and int(until) > time.time()

    def leave(self, response: Response) -> None:
        response.delete_cookie(self._cookie, path=PATH)

    def _signed(self, text: str) -> str:
        return hmac.new(self._key, f"dashboard {text}".encode(), sha256).hexdigest()
