"""An endpoint's headers, checked when they are saved: each names a secret of ENDPOINT_SECRETS.

Whether a word is a name or the secret itself, nobody can tell by its looks; what can be no name is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from actions.relaxed_json import escaped
from schemas.actions import ConfigurationProblem
from schemas.secret_names import SECRET_NAME, SECRET_NAME_TOLD

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
"""A field name (RFC 9110, section 5.1)."""
_OF_THE_CALL = frozenset(
    [
        *("host", "idempotency-key", "accept", "accept-encoding"),
        *("content-type", "content-length", "content-encoding", "transfer-encoding", "trailer", "te"),
        *("connection", "keep-alive", "proxy-connection", "upgrade", "expect"),
    ]
)
"""What the call's own parameters, key and connection say; another value would make it another call, or none."""
_SHOWN_CHARACTERS = 40


def header_problems(headers: Mapping[str, str] | None) -> list[ConfigurationProblem]:
    """With JSON pointers into *headers*; empty if they are fine. No message and no path holds a value."""
    return [
        ConfigurationProblem(path=f"/{escaped(_shown(name))}", message=message)
        for name, message in _problems(headers or {})
    ]


def _problems(headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for name, secret in headers.items():
        if not _NAME.fullmatch(name):
            yield name, "is no name of a header"
        elif name.lower() in _OF_THE_CALL:
            yield name, "is set by the call itself"
        elif name.lower() in seen:
            yield name, "is there in another spelling"
        seen.add(name.lower())
        if not SECRET_NAME.fullmatch(secret):
            yield name, f"is no name that a secret in ENDPOINT_SECRETS may have ({SECRET_NAME_TOLD})"


def _shown(name: str) -> str:
    """Of a name that is none, the beginning, on one line."""
    return "".join(letter if letter.isprintable() else "?" for letter in name[:_SHOWN_CHARACTERS])
