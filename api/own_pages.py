"""A change that a browser makes in somebody's name comes from a page of ours: told by Origin and Sec-Fetch-Site, which
no page can set, and by a token that stands in our forms and scripts alone."""

from __future__ import annotations

import hmac
from urllib.parse import parse_qs

from fastapi import Request

from api.problems import ProblemError
from config.served_address import ServedAddress, served_address

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
TOKEN_HEADER, TOKEN_FIELD = "X-CSRF-Token", "csrf"
_FORM = "application/x-www-form-urlencoded"


def address_of(request: Request, public_url: str | None) -> ServedAddress:
    """Under which address the browser sees us."""
    return served_address(request.url.scheme, request.headers.get("host", ""), public_url)


def check_origin(request: Request, address: ServedAddress) -> None:
    """Raises 403 for a change that another site's page asks for. Programs send neither header."""
    if request.method in SAFE:
        return
    site = request.headers.get("sec-fetch-site", "same-origin")
    if site != "same-origin" or request.headers.get("origin", address.origin) != address.origin:
        raise ProblemError(403, "Only a page of ours may do that: open it at this very address, and try again.")


async def check_token(request: Request, token: str) -> None:
    """Raises 403 for a change without the session's token: in a form's field, or in a header."""
    if request.method in SAFE:
        return
    given = request.headers.get(TOKEN_HEADER, "")
    if not given and request.headers.get("content-type", "").split(";")[0].strip() == _FORM:
        fields = parse_qs((await request.body()).decode("utf-8", "replace"))
        given = fields.get(TOKEN_FIELD, [""])[0]
    if not hmac.compare_digest(given.encode(), token.encode()):
        raise ProblemError(403, f"The {TOKEN_FIELD} token is missing or another session's: open the page anew.")
