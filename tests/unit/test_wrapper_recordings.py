"""Recorded answers, read by the client: our own small set, and the real ones where they lie beside the checkout."""

from __future__ import annotations

import asyncio
import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.settings import Settings
from integrations.perplexity.port import Answer, ModelPrompt
from integrations.perplexity.simulator.shapes import PRIVATE
from integrations.perplexity.wrapper import WrapperClient

OURS = Path(__file__).parents[1] / "integration" / "recordings"
REAL = Path(__file__).parents[3] / "shared" / "recordings"


@dataclass(frozen=True)
class Recording:
    """One answered question. `sources` and `texts` are how many pages and different texts are read out of it."""

    path: Path
    text: str
    first_text: str
    sources: int
    texts: int

    @property
    def streams(self) -> bool:
        return ".jsonl" in self.path.name

    @property
    def body(self) -> bytes:
        raw = self.path.read_bytes()
        raw = gzip.decompress(raw) if self.path.suffix == ".gz" else raw
        frames = (json.loads(line)["frame"] for line in raw.splitlines()) if self.streams else ()
        return "".join(frames).encode() if self.streams else raw


def recordings() -> list[Recording]:
    expected = json.loads((OURS / "expected.json").read_text())
    text, first, pages = expected["text"], expected["streamed_first"], len(expected["sources"])
    found = [
        Recording(OURS / "async-answer-only.jsonl", text, text, 0, 1),
        Recording(OURS / "async-full.jsonl", text, first, pages, expected["text_frames"]),
        Recording(OURS / "sync-answer-only.json", text, text, 0, 1),
        Recording(OURS / "sync-full.json", text, text, pages, 1),
    ]
    return found + (real_recordings() if REAL.is_dir() else [])


def real_recordings() -> list[Recording]:
    """As their README describes them; the text is read without the client."""
    text = json.loads(gzip.decompress((REAL / "wrapper-answer-1c.json.gz").read_bytes()))["answer"]
    return [
        Recording(REAL / "wrapper-answer-1a.jsonl.gz", text, text, 0, 1),
        Recording(REAL / "wrapper-answer-1b.jsonl.gz", text, "Here are the latest", 20, 119),
        Recording(REAL / "wrapper-answer-1c.json.gz", text, text, 0, 1),
        Recording(REAL / "wrapper-answer-1d.json.gz", text, text, 20, 1),
    ]


ALL = pytest.mark.parametrize("recording", recordings(), ids=lambda recording: recording.path.name)


class Pieces(httpx2.AsyncByteStream):
    def __init__(self, body: bytes, size: int) -> None:
        self._pieces = [body[start : start + size] for start in range(0, len(body), size)]

    async def __aiter__(self) -> Any:
        for piece in self._pieces:
            yield piece


async def read(recording: Recording, body: bytes | None = None, size: int = 65_536) -> tuple[Answer, list[str]]:
    """The answer, but for the time that it took, and its texts."""
    kind = "text/event-stream; charset=utf-8" if recording.streams else "application/json"
    stream = Pieces(recording.body if body is None else body, size)
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, headers={"content-type": kind}, stream=stream))
    way: Literal["async", "sync"] = "async" if recording.streams else "sync"
    client = WrapperClient(Settings(perplexity_base_url="http://wrapper.invalid"), way=way, transport=transport)
    texts: list[str] = []

    async def on_text(text: str) -> None:
        texts.append(text)

    question = ModelPrompt(text="q", account_name="acct-a", frontend_context_uuid="context-1")
    answer = await client.ask(question, on_text)
    await client.close()
    return answer.model_copy(update={"first_text_ms": None}), texts


@ALL
async def test_the_last_messages_answer_its_pages_and_the_text_on_the_way(recording: Recording) -> None:
    answer, texts = await read(recording)

    assert answer.text == recording.text
    assert [source.n for source in answer.sources] == list(range(1, recording.sources + 1))
    assert len(texts) == recording.texts
    assert (texts[0], texts[-1]) == (recording.first_text, recording.text)


@ALL
async def test_the_size_of_the_pieces_does_not_matter(recording: Recording) -> None:
    whole = await read(recording)

    assert await read(recording, size=997) == whole


@given(size=st.integers(1, 3_000))
@settings(max_examples=25, deadline=None)
def test_any_size_of_pieces_gives_the_same_answer(size: int) -> None:
    recording = recordings()[1]

    answer, texts = asyncio.run(read(recording, size=size))

    assert (answer.text, len(texts), texts[0]) == (recording.text, recording.texts, recording.first_text)


@ALL
async def test_nothing_private_leaves(recording: Recording) -> None:
    answer, _ = await read(recording)

    kept = answer.model_dump_json()
    private = private_values(recording.body.decode())
    assert PRIVATE not in kept
    assert [value for value in private if value in kept] == []


def private_values(body: str) -> set[str]:
    """Values of the fields that must not be kept, wherever they stand in a recorded body."""
    found = set()
    for line in body.split("\n\n"):
        message = json.loads(line.removeprefix("data: ") or "{}")
        message = message.get("content") or message
        space = message.get("collection_info") or {}
        names = ("read_write_token", "author_id", "author_username", "author_image")
        found |= {str(message.get(name)) for name in names} | {str(space.get("instructions"))}
    return found - {"None"}
