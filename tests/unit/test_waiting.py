"""Waiting in tests: what is there is returned at once; what does not come is told, with what was seen instead."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest

from tests.support.waiting import until, until_blocking, within


async def test_what_was_waited_for_is_returned() -> None:
    numbers = count()

    async def number() -> int:
        return next(numbers)

    assert await until("a third number", number, lambda seen: seen >= 2) == 2
    assert await until("a number", lambda: next(numbers)) == 3
    assert until_blocking("a sixth number", lambda: next(numbers), lambda seen: seen >= 5) == 5
    assert await within("an end", number(), lambda: "nothing") == 6


async def test_in_vain_says_what_for_and_what_was_seen() -> None:
    with pytest.raises(TimeoutError) as late:
        await until("two replies", lambda: ["You said: Hello"], lambda got: len(got) == 2, seconds=0.05)

    assert str(late.value) == "waited 0.05 s for two replies; saw ['You said: Hello']"


def test_in_vain_without_an_event_loop() -> None:
    with pytest.raises(TimeoutError, match=r"^waited 0\.05 s for the worker; saw 503 Temporal is unavailable$"):
        until_blocking("the worker", lambda: "503 Temporal is unavailable", lambda seen: "200" in seen, seconds=0.05)


async def test_a_look_that_hangs_is_given_up() -> None:
    async def hangs() -> str:
        return await asyncio.Event().wait() and ""

    with pytest.raises(TimeoutError, match=r"for an answer; saw nothing: the first look did not end$"):
        await until("an answer", hangs, seconds=0.05)


async def test_what_does_not_end_is_cancelled() -> None:
    ended = asyncio.create_task(asyncio.Event().wait())

    with pytest.raises(TimeoutError, match=r"^waited 0\.05 s for the event; saw \{'stored': 3\}$"):
        await within("the event", ended, lambda: {"stored": 3}, seconds=0.05)

    assert ended.cancelled()


async def test_a_time_out_of_the_look_itself_stays_what_it_is() -> None:
    def refused() -> bool:
        raise TimeoutError("the server gave up")

    with pytest.raises(TimeoutError, match=r"^the server gave up$"):
        await until("an answer", refused)


def test_of_what_was_seen_the_end_is_shown() -> None:
    with pytest.raises(TimeoutError) as late:
        until_blocking("READY", lambda: "x" * 10_000 + "the last line", lambda _: False, seconds=0.0)

    assert str(late.value).endswith("the last line")
    assert len(str(late.value)) < 3_100
