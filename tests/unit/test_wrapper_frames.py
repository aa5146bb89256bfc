"""A response → frames: any split gives the same, in bounded memory; the framing itself is the HTTP client's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.capped import TooLarge
from integrations.perplexity.frames import Frames, parse_object

BODIES: list[dict[str, Any]] = [{"type": "content", "content": {"n": n, "text": "ä€😊\n" * n}} for n in range(6)]
STREAM = b"".join(b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n" for body in BODIES)
REQUEST = httpx2.Request("GET", "http://wrapper.invalid")


async def _sent(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def frames_of(pieces: list[bytes], limit: int = 1_000_000, kind: str = "text/event-stream") -> Frames:
    response = httpx2.Response(200, headers={"content-type": kind}, request=REQUEST, content=_sent(pieces))
    return Frames(response, frame_bytes=limit, stream_bytes=1_000_000)


async def read(frames: Frames) -> list[dict[str, Any]]:
    return [frame async for frame in frames]


@given(st.lists(st.integers(0, len(STREAM)), max_size=40))
def test_any_split_of_the_bytes_gives_the_same_frames(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]

    assert asyncio.run(read(frames_of([STREAM[a:b] for a, b in pairwise(edges)]))) == BODIES


@pytest.mark.parametrize(
    "noise",
    [b": keep-alive\n\n", b"event: message\n", b"id: 7\n", b"retry: 1000\n\n", b"\n\n\n", b"<html>\n\n"],
)
@pytest.mark.parametrize("kind", ["text/event-stream; charset=utf-8", "text/plain", ""])
async def test_other_lines_of_the_format_say_nothing(noise: bytes, kind: str) -> None:
    assert await read(frames_of([noise, b'data: {"a": 1}\r\n\r\n'], kind=kind)) == [{"a": 1}]


@pytest.mark.parametrize("text", [b"data: {oops\n\n", b"data: [1]\n\n", b"data: " + b"[" * 9_000 + b"\n\n"])
async def test_what_is_no_json_object_is_passed_over(text: bytes) -> None:
    frames = frames_of([text, b'data: {"a": 1}\n\n'])

    assert await read(frames) == [{"a": 1}]
    assert (frames.framed, frames.received) == (1, len(text) + 16)


async def test_a_frame_of_several_data_lines_is_one() -> None:
    assert await read(frames_of([b'data: {"a":\ndata: 1}\n\n'])) == [{"a": 1}]


@pytest.mark.parametrize("pieces", [[b"data: " + b"x" * 2_000], [b"x" * 400] * 4, [b"data: x\n" * 200]])
async def test_a_frame_above_the_limit_is_refused_before_it_is_whole(pieces: list[bytes]) -> None:
    with pytest.raises(TooLarge, match="1000 bytes"):
        await read(frames_of(pieces, limit=1_000))


async def test_many_small_frames_may_be_more_than_the_limit_of_one() -> None:
    assert len(await read(frames_of([b'data: {"a": 1}\n\n' * 1_000], limit=100))) == 1_000


async def test_bytes_that_are_no_utf8_spoil_only_their_characters() -> None:
    assert parse_object(b'{"a": "\xff\xfe!"}') == {"a": "��!"}
    assert await read(frames_of([b'data: {"a": "\xff\xfe!"}\n\n'])) == [{"a": "��!"}]
