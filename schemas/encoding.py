"""JSON as it is stored and sent: UTF-8, compact, UUIDs and moments as text."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import UUID


def _plain(value: Any) -> str:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not JSON")


def dump_json(value: Any) -> str:
    return json.dumps(value, default=_plain, ensure_ascii=False, separators=(",", ":"))
