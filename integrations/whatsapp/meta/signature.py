"""The first thing that happens to a call of Meta's webhook: did it come from Meta? Nothing is parsed before.

Source: Meta, "Webhooks, validating payloads": `X-Hub-Signature-256: sha256=<hex HMAC-SHA256(app secret, raw body)>`.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from hashlib import sha256

HEADER = "X-Hub-Signature-256"
_FORM = re.compile(r"sha256=[0-9a-f]{64}", re.ASCII)


def sign(app_secret: str, body: bytes) -> str:
    """The header's value for *body*. Raises ValueError without a secret: anybody could sign with an empty one."""
    if not app_secret:
        raise ValueError("an app secret is needed to sign")
    return "sha256=" + hmac.new(app_secret.encode(), body, sha256).hexdigest()


def is_valid(app_secret: str, body: bytes, header: str | None) -> bool:
    """Whether *header* signs exactly these bytes (as they came: re-encoded JSON has other bytes).

    Every other form is refused: none, `sha1=`, upper case, too short, not hexadecimal; and all if there is no secret.
    """
    if not app_secret or header is None or not _FORM.fullmatch(header):
        return False
    return hmac.compare_digest(sign(app_secret, body), header)


def answer_challenge(query: Mapping[str, str], verify_token: str) -> str | None:
    """What to answer to Meta's verification call as text/plain, for the caller chose it; None for 403."""
    offered, challenge = query.get("hub.verify_token", ""), query.get("hub.challenge", "")
    known = bool(verify_token) and hmac.compare_digest(offered.encode("utf-8", "replace"), verify_token.encode())
    if not known or query.get("hub.mode") != "subscribe" or not 0 < len(challenge) <= 1_000:
        return None
    return challenge
