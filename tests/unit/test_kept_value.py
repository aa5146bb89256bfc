"""A value that is kept is found once for all who ask, and again once it is old, or could not be found."""

from __future__ import annotations

import asyncio

import pytest

from config.kept_value import KeptValue
from tests.support.waiting import within


class Found:
    def __init__(self) -> None:
        self.times = 0
        self.there = asyncio.Event()
        self.there.set()

    async def __call__(self) -> int:
        self.times += 1
        await within("leave to go on", self.there.wait(), lambda: self.times)
        if self.times == 1:
            raise LookupError("not the first time")
        return self.times


async def test_it_is_found_once_for_all_and_a_failure_is_not_kept() -> None:
    found = Found()
    kept = KeptValue(found, 3_600)
    first = await asyncio.gather(*(kept.now() for _ in range(5)), return_exceptions=True)

    then = await asyncio.gather(*(kept.now() for _ in range(5)))

    assert [type(each) for each in first] == [LookupError] * 5
    assert (then, await kept.now(), found.times) == ([2] * 5, 2, 2)


async def test_what_is_old_is_found_anew() -> None:
    found = Found()
    kept = KeptValue(found, 0)
    with pytest.raises(LookupError):
        await kept.now()

    assert [await kept.now() for _ in range(3)] == [2, 3, 4]


async def test_who_leaves_takes_it_from_nobody_else() -> None:
    found = Found()
    found.times = 1
    found.there.clear()
    kept = KeptValue(found, 3_600)
    leaving, staying = asyncio.create_task(kept.now()), asyncio.create_task(kept.now())
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)

    found.there.set()

    assert await staying == 2
