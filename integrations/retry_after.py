"""The header `Retry-After`, of whichever service sent it: the one place where it is read."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime

_LONGEST_SECONDS = 86_400.0


def retry_after(value: str | None, now: float) -> float | None:
    """Seconds to wait from *now* (Unix seconds). None if unreadable.

    The header has two forms (RFC 9110 §10.2.3): seconds, or a date.
    """
    if value is None:
        return None
    text = value.strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
        return min(float(text), _LONGEST_SECONDS)
    try:
        moment = parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(max(moment - now, 0.0), _LONGEST_SECONDS)
