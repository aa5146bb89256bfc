"""A streamed answer → its frames. First step of reading an answer; the HTTP client knows the framing, not the meaning.

A frame is `data: {json}` and an empty line, without an event name (docs/wrapper.md). What else the format of event
streams has (comments, `event:`, `id:`) may come from a proxy and says nothing here.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2

from integrations.capped import TooLarge

_EVENTS = "text/event-stream"


class Frames:
    """The frames of one *response*, as they come. Raises TooLarge, which names the limit.

    What is no JSON object is passed over, since only the last message decides; `framed` counts the good ones.
    """

    def __init__(self, response: httpx2.Response, *, frame_bytes: int, stream_bytes: int) -> None:
        response.headers["content-type"] = _EVENTS  # whatever a proxy calls it
        self._response = response
        self._frame_bytes = frame_bytes
        self._stream_bytes = stream_bytes
        self.framed = 0

    @property
    def received(self) -> int:
        """Bytes so far."""
        return self._response.num_bytes_downloaded

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        try:
            async for event in httpx2.EventSource(self._response, max_event_size=self._frame_bytes):
                if self.received > self._stream_bytes:
                    raise TooLarge(f"the stream has more than {self._stream_bytes} bytes")
                if (frame := parse_object(event.data)) is not None:
                    self.framed += 1
                    yield frame
        except httpx2.SSEError:
            raise TooLarge(f"a frame has more than {self._frame_bytes} bytes") from None


def parse_object(text: bytes | str) -> dict[str, Any] | None:
    """The JSON object that *text* is, or None. Bytes that are no UTF-8 are replaced, not refused."""
    try:
        value = json.loads(text.decode("utf-8", errors="replace") if isinstance(text, bytes) else text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
