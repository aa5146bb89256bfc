"""The client on a network made of single bytes: limits, silence, cancellation, and ends that are none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest

from config.settings import Settings
from integrations.perplexity.port import AskFailed, ModelPrompt
from integrations.perplexity.wrapper import WrapperClient
from schemas.failures import ModelFailureKind
from tests.support.waiting import within

QUESTION = ModelPrompt(text="Hours?", account_name="acct-a", frontend_context_uuid="context-1")
STREAM, JSON, HTML = "text/event-stream", "application/json", "text/html; charset=utf-8"
Part = bytes | Exception | Callable[[], Any]


class Body(httpx2.AsyncByteStream):
    """Gives bytes, raises errors, awaits what is called."""

    def __init__(self, *parts: Part) -> None:
        self._parts = parts
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            if isinstance(part, Exception):
                raise part
            if isinstance(part, bytes):
                yield part
            else:
                await part()

    async def aclose(self) -> None:
        self.closed = True


def frame(content: Any = "", **more: Any) -> bytes:
    return b"data: " + json.dumps({"type": "content", "content": content, **more}).encode() + b"\n\n"


def short(answer: str | None, progress: str = "DONE") -> dict[str, Any]:
    return {"progress": progress, "answer": answer, "backend_uuid": "backend-1"}


DONE = frame(done=True)


def client_of(*parts: Part, kind: str = STREAM, status: int = 200, **settings: Any) -> WrapperClient:
    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, headers={"content-type": kind}, stream=Body(*parts))

    return client_with(answer, **settings)


def client_with(answer: Callable[[httpx2.Request], httpx2.Response], **settings: Any) -> WrapperClient:
    chosen = Settings(perplexity_base_url="http://wrapper.invalid/base/", **settings)
    return WrapperClient(chosen, transport=httpx2.MockTransport(answer))


async def failure_of(client: WrapperClient) -> AskFailed:
    with pytest.raises(AskFailed) as failed:
        await client.ask(QUESTION)
    return failed.value


@pytest.mark.parametrize(
    ("parts", "kind", "expected"),
    [
        ([DONE], STREAM, ModelFailureKind.BLOCKED),
        ([frame(short("Hal", "IN_PROGRESS")), DONE], STREAM, ModelFailureKind.NO_ANSWER),
        ([frame(short("Hal", "IN_PROGRESS"))], STREAM, ModelFailureKind.CUT),
        ([], STREAM, ModelFailureKind.CUT),
        ([b"data: {\n\n", frame(short("Hal", "IN_PROGRESS"))], STREAM, ModelFailureKind.CUT),
        ([b"Just a moment\n\n"], STREAM, ModelFailureKind.MALFORMED),
        ([frame(short(None)), httpx2.RemoteProtocolError("incomplete")], STREAM, ModelFailureKind.CUT),
        ([frame(short("Hal", "IN_PROGRESS")), httpx2.ReadTimeout("")], STREAM, ModelFailureKind.SILENT),
        ([b'data: {"type": "error", "error": "list index out of range"}\n\n'], STREAM, ModelFailureKind.NO_ANSWER),
        ([b'data: {"type": "error"}\n\n'], STREAM, ModelFailureKind.UPSTREAM),
        ([b"<html>"], HTML, ModelFailureKind.MALFORMED),
        ([b"no json"], JSON, ModelFailureKind.MALFORMED),
        ([b"[]"], JSON, ModelFailureKind.MALFORMED),
        ([b'{"welcome": "here"}'], JSON, ModelFailureKind.UNKNOWN_SHAPE),
        ([frame("We are open."), DONE], STREAM, ModelFailureKind.UNKNOWN_SHAPE),
        ([b'{"data": null, "account_used": "a"}'], JSON, ModelFailureKind.BLOCKED),
        ([b'{"error": "Invalid sources."}'], JSON, ModelFailureKind.REJECTED),
        ([b'{"answer": null, "backend_uuid": "b"}'], JSON, ModelFailureKind.NO_ANSWER),
        ([b'{"progress": "DO'], JSON, ModelFailureKind.MALFORMED),
    ],
)
async def test_every_end_without_an_answer_has_its_kind(
    parts: list[Part], kind: str, expected: ModelFailureKind
) -> None:
    assert (await failure_of(client_of(*parts, kind=kind))).kind is expected


async def test_a_failure_carries_the_text_that_had_come() -> None:
    client = client_of(frame(short("Half of", "IN_PROGRESS")), httpx2.ReadError("reset"))

    assert (await failure_of(client)).partial == "Half of"


@pytest.mark.parametrize("end", [[], [DONE], [httpx2.ReadError("reset")], [httpx2.ReadTimeout("")]])
async def test_a_whole_answer_is_not_lost_by_how_the_stream_ends(end: list[Part]) -> None:
    answer = await client_of(frame(short("Whole.")), *end).ask(QUESTION)

    assert answer.text == "Whole."


async def test_of_two_done_messages_the_last_wins() -> None:
    answer = await client_of(frame(short("Old [2].")), frame(short("New [1].")), DONE).ask(QUESTION)

    assert answer.text == "New [1]."


async def test_characters_that_cannot_be_stored_are_mended() -> None:
    halves = [frame(short("\ud83d", "IN_PROGRESS")), frame(short("\ude00 a\x00b\ud83d", "IN_PROGRESS"))]
    texts: list[str] = []

    async def on_text(text: str) -> None:
        texts.append(text)

    answer = await client_of(*halves, frame(short("\ud83d\ude00 a\x00b\ud83d")), DONE).ask(QUESTION, on_text)

    assert texts == ["\ufffd", "😀 ab\ufffd"]
    assert answer.text == "😀 ab\ufffd"


async def test_silence_is_told_from_slowness() -> None:
    never = asyncio.Event()
    client = client_of(frame(short("Hal", "IN_PROGRESS")), never.wait, perplexity_answer_seconds=0.05)

    failed = await failure_of(client)

    assert (failed.kind, failed.partial) == (ModelFailureKind.TOO_SLOW, "Hal")


@pytest.mark.parametrize("kind", [STREAM, JSON])
async def test_a_message_above_the_limit_is_refused(kind: str) -> None:
    client = client_of(*[b"data: " + b"x" * 1_000] * 5, kind=kind, perplexity_answer_bytes=2_000)

    assert (await failure_of(client)).kind is ModelFailureKind.TOO_LARGE


async def test_a_stream_without_end_is_refused() -> None:
    client = client_of(*[frame(short("so far", "IN_PROGRESS"))] * 100, perplexity_stream_bytes=2_000)

    assert (await failure_of(client)).kind is ModelFailureKind.TOO_LARGE


async def test_cancelling_closes_the_response_at_once() -> None:
    reached, never = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        reached.set()
        await never.wait()

    body = Body(hang)
    client = client_with(lambda _: httpx2.Response(200, headers={"content-type": STREAM}, stream=body))
    asking = asyncio.create_task(client.ask(QUESTION))
    await within("a read of the body", reached.wait(), lambda: asking)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    assert body.closed


async def test_what_a_listener_raises_passes_through() -> None:
    async def broken(_: str) -> None:
        raise TimeoutError("the listener's own")

    with pytest.raises(TimeoutError, match="the listener's own"):
        await client_of(frame(short("Whole.")), DONE).ask(QUESTION, broken)


async def test_after_failures_in_a_row_the_wrapper_is_left_alone() -> None:
    calls: list[str] = []

    def refused(request: httpx2.Request) -> httpx2.Response:
        calls.append(request.url.path)
        raise httpx2.ConnectError("refused")

    client = client_with(refused, perplexity_breaker_failures=2, perplexity_breaker_open_seconds=60)
    failures = [await failure_of(client) for _ in range(4)]

    assert calls == ["/base/api/query_async"] * 2
    assert {failure.kind for failure in failures} == {ModelFailureKind.CONNECT}
    assert [failure.retry_after is not None for failure in failures] == [False, False, True, True]


async def test_an_answer_in_between_starts_the_count_anew() -> None:
    answers = [httpx2.ConnectError("refused"), None, httpx2.ConnectError("refused"), None]

    def answer(_: httpx2.Request) -> httpx2.Response:
        if error := answers.pop(0):
            raise error
        return httpx2.Response(200, json=short("Here."))

    client = client_with(answer, perplexity_breaker_failures=2)
    for _ in range(2):
        assert (await failure_of(client)).kind is ModelFailureKind.CONNECT
        assert (await client.ask(QUESTION)).text == "Here."


async def test_a_question_that_is_too_long_never_leaves() -> None:
    client = client_with(lambda _: pytest.fail("it left"), perplexity_request_line_bytes=1_000)
    long = QUESTION.model_copy(update={"text": "钱" * 200})

    assert client.room_for(long) < 0 < client.room_for(QUESTION)
    with pytest.raises(AskFailed) as failed:
        await client.ask(long)
    assert failed.value.kind is ModelFailureKind.QUESTION_TOO_LONG


@pytest.mark.parametrize(
    ("status", "body", "healthy"),
    [(200, b'{"status": "healthy"}', True), (200, b"<html>", False), (503, b'{"status": "healthy"}', False)],
)
async def test_health(status: int, body: bytes, healthy: bool) -> None:
    client = client_of(body, kind=JSON, status=status)

    assert await client.healthy() is healthy


async def test_health_never_raises() -> None:
    def refused(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    assert await client_with(refused).healthy() is False
