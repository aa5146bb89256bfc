"""Bytes → frames: any split gives the same, in linear work and bounded memory."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.perplexity.frames import FrameReader, TooLarge, parse_object

BODIES: list[dict[str, Any]] = [{"type": "content", "content": {"n": n, "text": "ä€😊\n" * n}} for n in range(6)]
STREAM = b"".join(b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n" for body in BODIES)


def read(pieces: list[bytes], limit: int = 1_000_000) -> list[dict[str, Any]]:
    reader = FrameReader(limit)
    frames = [frame for piece in pieces for frame in reader.feed(piece)]
    return frames + reader.finish()


@given(st.lists(st.integers(0, len(STREAM)), max_size=40))
def test_any_split_of_the_bytes_gives_the_same_frames(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]

    frames = read([STREAM[a:b] for a, b in pairwise(edges)])

    assert frames == BODIES


@pytest.mark.parametrize("size", [1, 7, 4_096])
def test_no_byte_is_searched_twice_however_small_the_pieces(size: int) -> None:
    frame = b'data: {"text": "' + b"x" * 150_000 + b'"}\n\n'
    reader = FrameReader(1_000_000)

    frames = [f for start in range(0, len(frame), size) for f in reader.feed(frame[start : start + size])]

    assert len(frames) == 1
    assert reader.searched == reader.received == len(frame)


@pytest.mark.parametrize(
    "noise",
    [b": keep-alive\n\n", b"event: message\n", b"id: 7\n", b"retry: 1000\n\n", b"\n\n\n"],
)
def test_other_lines_of_the_format_are_passed_over(noise: bytes) -> None:
    reader = FrameReader(1_000)

    frames = reader.feed(noise + b'data: {"a": 1}\r\n\r\n')

    assert frames == [{"a": 1}]
    assert reader.broken == 0


@pytest.mark.parametrize(
    "text", [b"data: {oops\n\n", b"data: [1]\n\n", b"<html>\n\n", b"data: " + b"[" * 9_000 + b"\n\n"]
)
def test_what_is_no_json_object_is_counted_and_passed_over(text: bytes) -> None:
    reader = FrameReader(100_000)

    frames = reader.feed(text + b'data: {"a": 1}\n\n')

    assert frames == [{"a": 1}]
    assert (reader.broken, reader.framed) == (1, 1)


def test_the_last_frame_may_lack_its_empty_line() -> None:
    assert read([b'data: {"a": 1}\n\ndata: {"b": 2}']) == [{"a": 1}, {"b": 2}]


def test_a_frame_of_several_data_lines_is_one() -> None:
    assert read([b'data: {"a":\ndata: 1}\n\n']) == [{"a": 1}]


@pytest.mark.parametrize("pieces", [[b"data: " + b"x" * 2_000], [b"x" * 400] * 4, [b"data: x\n" * 200]])
def test_a_frame_above_the_limit_is_refused_before_it_is_whole(pieces: list[bytes]) -> None:
    with pytest.raises(TooLarge, match="1000 bytes"):
        read(pieces, limit=1_000)


def test_many_small_frames_may_be_more_than_the_limit_of_one() -> None:
    assert len(read([b'data: {"a": 1}\n\n' * 1_000], limit=100)) == 1_000


def test_bytes_that_are_no_utf8_spoil_only_their_characters() -> None:
    assert parse_object(b'{"a": "\xff\xfe!"}') == {"a": "��!"}
