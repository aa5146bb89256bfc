"""One response → messages → the answer. Stands between the HTTP client (`wrapper`) and the folding (`messages`)."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx2

from config.clock import Monotonic
from integrations import capped
from integrations.characters import storable
from integrations.perplexity.answer import accepted_answer
from integrations.perplexity.failures import from_error_text
from integrations.perplexity.frames import Frames, parse_object
from integrations.perplexity.messages import MessagesSoFar
from integrations.perplexity.port import Answer, AskFailed, ModelPrompt, OnText
from schemas.failures import ModelFailureKind


class Reading:
    """Reads one answer, timed from now on. `messages.text` is what had come by the time something failed."""

    def __init__(
        self,
        prompt: ModelPrompt,
        on_text: OnText | None,
        *,
        message_bytes: int,
        stream_bytes: int,
        monotonic: Monotonic = time.monotonic,
    ) -> None:
        self.messages = MessagesSoFar()
        self._monotonic = monotonic
        self._began = monotonic()
        self._first_text_ms: int | None = None
        self._prompt = prompt
        self._on_text = on_text
        self._shown = ""
        self._message_bytes = message_bytes
        self._stream_bytes = stream_bytes

    def accepted(self) -> Answer | None:
        """The answer, if a whole one had come before the stream broke; else None."""
        try:
            return self._answer()
        except AskFailed:
            return None

    async def stream(self, response: httpx2.Response) -> Answer:
        """Reads frames until the answer is complete. Raises AskFailed; a done frame alone is no success."""
        frames = Frames(response, frame_bytes=self._message_bytes, stream_bytes=self._stream_bytes)
        try:
            async for frame in frames:
                if await self._take(frame):
                    return self._answer()
        except capped.TooLarge as error:
            raise _too_large(str(error)) from None
        if self.messages.accepted is not None or self.messages.refusal is not None:
            return self._answer()
        raise _ended_without_done(frames)

    async def body(self, pieces: AsyncIterator[bytes]) -> Answer:
        """Reads one JSON object. Raises AskFailed."""
        message = parse_object(await self._whole(pieces))
        if message is None:
            raise AskFailed(ModelFailureKind.MALFORMED, "the body is no JSON object")
        if isinstance(error := message.get("error"), str):
            raise from_error_text(error)
        if "data" in message and message["data"] is None:
            raise AskFailed(ModelFailureKind.BLOCKED, "the wrapper got nothing from upstream (`data: null`)")
        await self._add(message)
        return self._answer()

    async def _whole(self, pieces: AsyncIterator[bytes]) -> bytes:
        try:
            return await capped.whole(pieces, self._message_bytes)
        except capped.TooLarge as error:
            raise _too_large(f"the body has {error}") from None

    async def _take(self, frame: dict[str, Any]) -> bool:
        """Whether the stream is at its end: a complete message came, or the done frame."""
        if frame.get("type") == "error":
            raise from_error_text(str(frame.get("error")))
        if isinstance(content := frame.get("content"), dict):
            await self._add(content)
        elif content:
            await self._add(frame)  # of no shape that was seen: its fields are named
        if frame.get("done") is True:
            self._check_done()
            return True
        return self.messages.complete

    async def _add(self, message: dict[str, Any]) -> None:
        self.messages.add(message)
        text = storable(self.messages.text)
        if text and self._first_text_ms is None:
            self._first_text_ms = int((self._monotonic() - self._began) * 1000)
        if self._on_text and text != self._shown:
            self._shown = text
            await self._on_text(text)

    def _answer(self) -> Answer:
        answer = accepted_answer(self.messages, self._prompt)
        return answer.model_copy(update={"first_text_ms": self._first_text_ms})

    def _check_done(self) -> None:
        if not self.messages.count:
            raise AskFailed(ModelFailureKind.BLOCKED, "only the done frame came: upstream gave the wrapper nothing")


def _ended_without_done(frames: Frames) -> AskFailed:
    if frames.received and not frames.framed:
        return AskFailed(ModelFailureKind.MALFORMED, "the stream holds no frames of a known shape")
    return AskFailed(
        ModelFailureKind.CUT, f"the stream ended after {frames.received} bytes, without an answer or an end"
    )


def _too_large(explanation: str) -> AskFailed:
    return AskFailed(ModelFailureKind.TOO_LARGE, explanation)
