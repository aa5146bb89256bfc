"""An endpoint's headers, checked when they are saved: each names a secret, and none holds one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from actions.relaxed_json import escaped
from schemas.actions import ConfigurationProblem

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
"""A field name (RFC 9110, section 5.1)."""
_SECRETS_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_SECRET_ITSELF = re.compile(
    r"(?=.*[0-9])(sk|pk|rk|pa|ghp|gho|ghs|github_pat|glpat|xox[abprs]|akia|eyj|sg)[-_.]?[A-Za-z0-9]{8,}.*"
    r"|.*(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{20,}.*",
    re.IGNORECASE,
)
"""Beginnings that services give their keys, or a long run of letters and digits: no name that a person gives."""
_OF_THE_CALL = frozenset(["host", "content-length", "transfer-encoding", "connection", "idempotency-key"])
_SHOWN_CHARACTERS = 40


def header_problems(headers: Mapping[str, str] | None) -> list[ConfigurationProblem]:
    """With JSON pointers into *headers*; empty if they are fine. No message and no path holds a value."""
    return [
        ConfigurationProblem(path=f"/{escaped(_shown(name))}", message=message)
        for name, message in _problems(headers or {})
    ]


def _problems(headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, secret in headers.items():
        if not _NAME.fullmatch(name):
            yield name, "is no name of a header"
        elif name.lower() in _OF_THE_CALL:
            yield name, "is set by the call itself"
        if not _SECRETS_NAME.fullmatch(secret) or _SECRET_ITSELF.fullmatch(secret):
            yield name, "must be the name of a secret in ENDPOINT_SECRETS, never the value"


def _shown(name: str) -> str:
    """Of a name that is none, the beginning, on one line."""
    return "".join(letter if letter.isprintable() else "?" for letter in name[:_SHOWN_CHARACTERS])
