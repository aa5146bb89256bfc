"""Lists that go on: a page of rows, newest first, and the opaque `next_before` that asks for the one after it.

It stands beside the rows, or where an answer is nothing but the rows, in the header `Next-Before`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

from fastapi import Query, Response
from pydantic import BeforeValidator

from api.problems import ProblemError
from schemas.cursors import Cursor, InvalidCursor, decode_cursor

Row = TypeVar("Row")
Before = Annotated[str | None, Query(max_length=200, description="`next_before` of the page before")]


def _in_digits(value: object) -> object:
    """Raises ValueError for what only Python takes for a whole number, as `1_0`, `5.0` or ` 5`."""
    if not isinstance(value, int) and not (isinstance(value, str) and value.isascii() and value.isdigit()):
        raise ValueError("must be a whole number, in digits")
    return value


Limit = Annotated[int, BeforeValidator(_in_digits), Query(ge=1, le=200)]

_NEXT_BEFORE = "Next-Before"
_TOLD = {"description": "The `before` of the next page; none on the last", "schema": {"type": "string"}}
GOES_ON: dict[int | str, dict[str, Any]] = {200: {"headers": {_NEXT_BEFORE: _TOLD}}}
"""For OpenAPI: the list's next page is named by a header."""


async def page_of(
    list_name: str,
    before: str | None,
    limit: int,
    read: Callable[[int, Cursor | None], Awaitable[list[Row]]],
    place: Callable[[Row], Cursor],
) -> tuple[list[Row], str | None]:
    """Up to *limit* rows and the next page's `before`, None on the last. Raises ProblemError for another's *before*.

    *read* gets how many rows to read and what they come after; *place* says where the list goes on after a row.
    """
    try:
        cursor = decode_cursor(before, list_name) if before is not None else None
    except InvalidCursor as invalid:
        raise ProblemError(422, f"{invalid}.") from None
    found = await read(limit + 1, cursor)
    page = found[:limit]
    return page, place(page[-1]).encode(list_name) if len(found) > limit else None


def name_next(response: Response, after: str | None) -> None:
    """Where an answer is nothing but the rows: the next page's `before`, as a header."""
    if after is not None:
        response.headers[_NEXT_BEFORE] = after
