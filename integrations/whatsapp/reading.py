"""Reads values out of JSON that nobody promised a shape for: what is not as expected is None, never an exception."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.messages import CustomerIdentity
from schemas.visible import shows_something

MAX_DEPTH = 64
CLOCK_SKEW = timedelta(minutes=5)
"""How far ahead of ours the channel's clock may be."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_PHONE = re.compile(r"\+?([0-9]{5,15})", re.ASCII)
_USER_ID = re.compile(r"[A-Z]{2}\.[A-Za-z0-9.]{1,125}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def clean_text(value: str) -> str:
    """*value* with U+FFFD for what PostgreSQL cannot store (NUL, lone surrogates)."""
    return _UNSTORABLE.sub("\ufffd", value)


def clean(value: Any, depth: int = 0) -> Any:
    """JSON as it can be stored. Deeper than MAX_DEPTH it is cut, and numbers that are none become text."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if not isinstance(value, dict | list):
        return value
    if depth >= MAX_DEPTH:
        return "[nested too deep]"
    if isinstance(value, list):
        return [clean(each, depth + 1) for each in value]
    return {clean_text(str(key)): clean(each, depth + 1) for key, each in value.items()}


def mapping(value: Any, *path: str) -> dict[str, Any]:
    """The object at *path* within *value*; empty if there is none."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """*value* if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """The objects in *value*; other members are passed over."""
    return (each for each in items(value) if isinstance(each, dict))


def text(value: Any, *, most: int = 1_000) -> str | None:
    """*value* if it is a string of which something can be seen, cut to *most* characters."""
    return value[:most] if isinstance(value, str) and shows_something(value) else None


def line(value: Any, *, most: int = 300) -> str | None:
    """As `text`, on one line and without control or direction-changing characters: a name, a label."""
    found = text(value, most=most)
    return (" ".join(_CONTROL.sub(" ", found).split()) or None) if found else None


def number(value: Any) -> int | None:
    """A whole number, also written as text; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if abs(value) < 2**31 else None
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value, re.ASCII) else None


def file_name(value: Any) -> str | None:
    """The last part of a path that a customer's phone sent as a file name."""
    name = line(value, most=1_000)
    last = re.split(r"[\\/]", name)[-1].strip(". ") if name else ""
    return last[:200] or None


def moment(value: Any, received_at: datetime) -> datetime | None:
    """Unix seconds, as a number or text, in UTC. None if unreadable or negative.

    One that lies further ahead than CLOCK_SKEW becomes *received_at*: it would keep a conversation's order and its
    24-hour window wrong for as long as it lies ahead. However old it is, it is kept: Meta redelivers for 7 days.
    """
    if isinstance(value, bool) or not isinstance(value, int | str) or not _SECONDS.fullmatch(str(value)[:20]):
        return None
    latest = received_at + CLOCK_SKEW
    seconds = int(value)
    return datetime.fromtimestamp(seconds, UTC) if seconds <= latest.timestamp() else received_at


def phone(value: Any) -> str | None:
    """E.164 digits without the plus sign, from `15551234567`, `+15551234567` or a number."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    found = _PHONE.fullmatch(str(value)[:32].strip())
    return found[1] if found else None


def user_id(value: Any) -> str | None:
    """A business-scoped user id such as `US.13491208655302741918` or `US.ENT.118157…`."""
    return value if isinstance(value, str) and _USER_ID.fullmatch(value) else None


def identities(phone_number: str | None, scoped_id: str | None, parent_id: str | None = None) -> list[CustomerIdentity]:
    """Those of one customer that are known, the phone first."""
    known = (("phone", phone_number), ("user_id", scoped_id), ("parent_user_id", parent_id))
    return [CustomerIdentity(kind=kind, value=value) for kind, value in known if value]
