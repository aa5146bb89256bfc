"""Open streams: so many at once and no more, and hardly a statement of one in which nothing happens."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from config.settings import Settings
from tests.support.waiting import until
from tests.system_in_process import System, running_system


@pytest.fixture
async def narrow(postgres_url: str, temporal_address: str, request: pytest.FixtureRequest) -> AsyncIterator[System]:
    """With room for two streams; its parameters are settings."""
    settings = {"streams_at_once": 2, **getattr(request, "param", {})}
    async with running_system(postgres_url, temporal_address, **settings) as system:
        yield system


async def test_one_stream_too_many_is_told_to_come_again_and_stores_nothing(narrow: System) -> None:
    narrow.perplexity.gate.clear()
    streams = [narrow.stream("Hello", customer=f"c-{n}") for n in range(2)]
    for stream in streams:
        assert (await anext(stream)).kind == "accepted"

    body = {"customer_id": "c-9", "text": "Hello", "message_id": "m-9"}
    refused = await narrow.http.post("/api/query_async", json=body)
    wrong = await narrow.http.post("/api/query_async", json=body, headers={"Authorization": "Bearer wrong"})

    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
    assert (refused.headers["Message-Id"], refused.json()["message_id"]) == ("m-9", "m-9")
    assert "Too many streams are open, and nothing was stored." in refused.json()["detail"]
    assert wrong.status_code == 401
    assert (await narrow.http.get("/api/session/c-9")).status_code == 404
    narrow.perplexity.gate.set()
    for stream in streams:
        assert [event.kind async for event in stream][-1] == "done"
    await until("both places free", lambda: narrow.services.open_streams.open, lambda seen: seen == 0)
    assert [event.kind async for event in narrow.stream("Hello", customer="c-9", message_id="m-9")][-1] == "done"


async def test_a_reader_who_leaves_leaves_its_place(narrow: System) -> None:
    narrow.perplexity.gate.clear()
    stream = narrow.stream("Hello")
    await anext(stream)
    assert narrow.services.open_streams.open == 1

    await stream.aclose()

    await until("a free place", lambda: narrow.services.open_streams.open, lambda seen: seen == 0)
    narrow.perplexity.gate.set()


async def test_what_could_not_be_stored_leaves_its_place(narrow: System) -> None:
    for _ in range(3):
        refused = await narrow.http.post(
            "/api/query_async", json={"customer_id": "c", "text": "x", "assistant": "none"}
        )
        assert refused.status_code == 422

    assert narrow.services.open_streams.open == 0


def looks(system: System) -> int:
    return sum("FROM stream_events" in statement for statement in system.statements)


def test_a_stream_looks_by_itself_seldom() -> None:
    assert Settings(_env_file=None).stream_look_seconds >= 15  # type: ignore[call-arg]


@pytest.mark.parametrize("narrow", [{"stream_look_seconds": 3_600}], indirect=True)
async def test_words_come_at_once_all_the_same(narrow: System) -> None:
    """It is told of them: it would not look within the hour."""
    kinds = [event.kind async for event in narrow.stream("Hello")]

    assert (kinds[0], "chunk" in kinds, kinds[-1]) == ("accepted", True, "done")
    assert looks(narrow) <= 2 + kinds.count("chunk") + kinds.count("reset")
