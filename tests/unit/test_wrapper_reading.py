"""When an answer's first text came: timed by who reads the stream, whether somebody listens or not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx2

from integrations.perplexity.reading import Reading
from tests.unit.test_wrapper_client import DONE, QUESTION, frame, short


async def pieces(*given: bytes) -> AsyncIterator[bytes]:
    for piece in given:
        yield piece


def response(*given: bytes) -> httpx2.Response:
    return httpx2.Response(200, request=httpx2.Request("GET", "http://wrapper.invalid"), content=pieces(*given))


def reading(*moments: float) -> Reading:
    """Begun at the first of *moments*, in seconds; it looks no oftener."""
    return Reading(QUESTION, None, message_bytes=10_000, stream_bytes=10_000, monotonic=iter(moments).__next__)


async def test_the_first_text_is_timed_from_the_question() -> None:
    frames = [frame(short("", "IN_PROGRESS")), frame(short("Hal", "IN_PROGRESS")), frame(short("Half.")), DONE]

    answer = await reading(100.0, 100.25).stream(response(*frames))

    assert (answer.text, answer.first_text_ms) == ("Half.", 250)


async def test_an_answer_in_one_piece_has_its_text_at_once() -> None:
    answer = await reading(100.0, 103.5).body(pieces(json.dumps(short("Whole.")).encode()))

    assert (answer.text, answer.first_text_ms) == ("Whole.", 3_500)


async def test_an_answer_that_had_come_whole_is_timed_too() -> None:
    whole = reading(100.0, 100.25)

    answer = await whole.stream(response(frame(short("Whole."))))

    assert whole.accepted() == answer
    assert answer.first_text_ms == 250
