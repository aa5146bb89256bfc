"""Where a list goes on: opaque to callers, and of no use to another list."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator


def in_utc(moment: datetime) -> datetime:
    """The same moment in UTC. Raises ValueError for one without a zone, or outside of all years."""
    if moment.tzinfo is None:
        raise ValueError("a time needs its zone, as in 2026-11-23T10:00:00Z")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("there is no such year") from None


MAX_ID = 2**63 - 1
"""The largest number of a row."""


def _written_out(value: object) -> object:
    """Raises ValueError for a bare number, which may be seconds or milliseconds since 1970."""
    if not isinstance(value, datetime) and not _DATE_AND_TIME.match(str(value)):
        raise ValueError("a time is written as in 2026-11-23T10:00:00Z")
    return value


Moment = Annotated[datetime, BeforeValidator(_written_out), AfterValidator(in_utc)]
_DATE_AND_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d", re.ASCII)


class InvalidCursor(ValueError):
    """A `before` that no list of this kind has given out."""


class Cursor(BaseModel):
    """The last row that a list showed: lists are sorted by a moment and an id, newest first."""

    at: datetime
    id: UUID

    def encode(self, list_name: str) -> str:
        return base64.urlsafe_b64encode(f"{list_name} {self.at.isoformat()} {self.id}".encode()).decode().rstrip("=")


def place_values(before: Cursor | None) -> dict[str, Any]:
    """What a list's statement names `at` and `id`."""
    return {"at": before.at if before else None, "id": before.id if before else None}


def decode_cursor(text: str, list_name: str) -> Cursor:
    """The cursor that the list *list_name* gave out. Raises InvalidCursor for any other text."""
    try:
        padded = text + "=" * (-len(text) % 4)
        name, at, row_id = base64.b64decode(padded, altchars=b"-_", validate=True).decode().split(" ")
        cursor = Cursor(at=in_utc(datetime.fromisoformat(at)), id=UUID(row_id))
    except (binascii.Error, UnicodeError, ValueError) as error:
        raise InvalidCursor("`before` is the `next_before` of the answer before, unchanged") from error
    if name != list_name:
        raise InvalidCursor("This `before` is of another list")
    return cursor
