"""How tests wait: for what they can say, not for long, and telling what they saw instead.

Everything that waits in tests/ goes through here (`tests/unit/test_waiting_rule.py` sees to it); pytest's own time
limit is only for what hangs beside it.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, TypeVar, overload

T = TypeVar("T")

LONGEST_SECONDS = 30.0
START_SECONDS = float(os.environ.get("START_SECONDS", "90"))
"""A start of the whole program: its own setting, and that one's default."""

_PAUSE_SECONDS = 0.02
_SHOWN_CHARACTERS = 3_000
_NOTHING = "nothing: the first look did not end"


@overload
async def until(
    what: str, look: Callable[[], Awaitable[T]], enough: Callable[[T], object] = bool, *, seconds: float = ...
) -> T: ...
@overload
async def until(
    what: str, look: Callable[[], T], enough: Callable[[T], object] = bool, *, seconds: float = ...
) -> T: ...
async def until(
    what: str, look: Callable[[], Any], enough: Callable[[Any], object] = bool, *, seconds: float = LONGEST_SECONDS
) -> Any:
    """The first thing that *look* sees and that is *enough*.

    Raises TimeoutError with *what* was waited for and what *look* saw last: let it return something worth reading.
    """
    seen: Any = _NOTHING
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            while True:
                found = look()
                seen = await found if inspect.isawaitable(found) else found
                if enough(seen):
                    return seen
                await asyncio.sleep(_PAUSE_SECONDS)
    except TimeoutError:
        if not limit.expired():
            raise
    _in_vain(what, seen, seconds)


def until_blocking(
    what: str, look: Callable[[], T], enough: Callable[[T], object] = bool, *, seconds: float = LONGEST_SECONDS
) -> T:
    """`until` for tests without an event loop. *look* bounds itself; it is asked at least once."""
    deadline = time.monotonic() + seconds
    while not enough(seen := look()):
        if time.monotonic() >= deadline:
            _in_vain(what, seen, seconds)
        threading.Event().wait(_PAUSE_SECONDS)  # `time.sleep` fails under libfaketime
    return seen


async def within(what: str, ends: Awaitable[T], seen: Callable[[], object], *, seconds: float = LONGEST_SECONDS) -> T:
    """What *ends* returns; else it is cancelled, and TimeoutError says *what* was waited for and what *seen* shows."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await ends
    except TimeoutError:
        if not limit.expired():
            raise
    _in_vain(what, seen(), seconds)


def _in_vain(what: str, seen: object, seconds: float) -> NoReturn:
    shown = seen if isinstance(seen, str) else repr(seen)
    raise TimeoutError(f"waited {seconds:g} s for {what}; saw {shown[-_SHOWN_CHARACTERS:]}")
