"""The first thing that happens to a call of Twilio's webhook: did it come from Twilio?

Source: Twilio, "Webhooks security": base64(HMAC-SHA1(auth token, URL + each POST parameter's name and value, by name)).
The URL is the one Twilio was given, so behind a proxy PUBLIC_URL counts, not what the request seems to say.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterable
from hashlib import sha1
from urllib.parse import parse_qsl, urlsplit

HEADER = "X-Twilio-Signature"
Form = list[tuple[str, str]]
_HEADER_FORM = re.compile(r"[A-Za-z0-9+/]{27}=", re.ASCII)
_MOST_FIELDS = 1_000
_PORTS = {"https": 443, "http": 80}


def read_form(body: bytes) -> Form | None:
    """Names and values as they came, blanks and doubles included; None if the body is no UTF-8 form."""
    try:
        return parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        return None


def sign(auth_token: str, url: str, form: Iterable[tuple[str, str]]) -> str:
    """The header's value. A doubled name is signed with each of its different values, in order."""
    if not auth_token:
        raise ValueError("an auth token is needed to sign")
    signed = url + "".join(name + value for name, value in sorted(set(form)))
    return base64.b64encode(hmac.new(auth_token.encode(), signed.encode(), sha1).digest()).decode()


def is_valid(auth_token: str, url: str, form: Form, header: str | None) -> bool:
    """Whether *header* signs *form* as posted to *url*, with or without the scheme's own port in it."""
    if not auth_token or header is None or not _HEADER_FORM.fullmatch(header):
        return False
    # No short cut between the two: their time must not tell which one was nearer.
    return any([hmac.compare_digest(sign(auth_token, each, form), header) for each in _spellings(url)])


def _spellings(url: str) -> list[str]:
    """Twilio signs sometimes with the default port and sometimes without: its own library accepts both."""
    parts = urlsplit(url)
    try:
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        return [url]
    host = f"[{host}]" if ":" in host else host
    if port is None and parts.scheme in _PORTS:
        return [url, parts._replace(netloc=f"{parts.netloc}:{_PORTS[parts.scheme]}").geturl()]
    return [url, parts._replace(netloc=host).geturl()] if port == _PORTS.get(parts.scheme) else [url]
