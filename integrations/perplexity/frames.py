"""Bytes of a streamed answer → frames. First step of reading an answer; knows framing, not meaning.

A frame is `data: {json}` and an empty line, without an event name (docs/wrapper.md). Other
lines of the event-stream format (comments, `event:`, `id:`) may come from a proxy and are passed over.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


class TooLarge(Exception):
    """A frame is larger than it may be; the message names the limit."""


@dataclass
class FrameReader:
    """Feed it bytes in pieces of any size; it gives back the frames that became whole.

    Linear: no byte is searched twice, however small the pieces (`searched` counts them). Memory is bounded by
    *frame_bytes*. What is no JSON object is counted in `broken` and passed over, since only the last message decides;
    `framed` counts the good ones.
    """

    frame_bytes: int
    searched: int = 0
    broken: int = 0
    framed: int = 0
    received: int = 0
    _buffer: bytearray = field(default_factory=bytearray)
    _data: list[bytes] = field(default_factory=list)
    _data_bytes: int = 0

    def feed(self, piece: bytes) -> list[dict[str, Any]]:
        """Raises TooLarge."""
        self.received += len(piece)
        start = len(self._buffer)
        self._buffer += piece
        frames: list[dict[str, Any]] = []
        consumed = 0
        while (end := self._buffer.find(b"\n", start)) >= 0:
            self.searched += end + 1 - start
            self._line(bytes(self._buffer[consumed:end]).removesuffix(b"\r"), frames)
            consumed = start = end + 1
        self.searched += len(self._buffer) - start
        del self._buffer[:consumed]
        self._check(len(self._buffer) + self._data_bytes)
        return frames

    def finish(self) -> list[dict[str, Any]]:
        """At the end of the bytes: the last frame may lack its empty line. A frame cut in two counts as broken."""
        frames: list[dict[str, Any]] = []
        self._line(bytes(self._buffer), frames)
        self._line(b"", frames)
        self._buffer.clear()
        return frames

    def _line(self, line: bytes, frames: list[dict[str, Any]]) -> None:
        if not line:
            self._end_frame(frames)
        elif line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
            self._data_bytes += len(line)
            self._check(self._data_bytes)
        elif not line.startswith((b":", b"event:", b"id:", b"retry:")):
            self.broken += 1

    def _end_frame(self, frames: list[dict[str, Any]]) -> None:
        if not self._data:
            return
        text = b"\n".join(self._data)
        self._data, self._data_bytes = [], 0
        frame = parse_object(text)
        if frame is None:
            self.broken += 1
        else:
            self.framed += 1
            frames.append(frame)

    def _check(self, size: int) -> None:
        if size > self.frame_bytes:
            raise TooLarge(f"a frame has more than {self.frame_bytes} bytes")


def parse_object(text: bytes) -> dict[str, Any] | None:
    """The JSON object that *text* is, or None. Bytes that are no UTF-8 are replaced, not refused."""
    try:
        value = json.loads(text.decode("utf-8", errors="replace"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
