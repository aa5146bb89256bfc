"""A stream that broke, asked for again by a client that knows its events' ids and not its message's name."""

from __future__ import annotations

import httpx2
import pytest

from tests.system_in_process import System

BODY = {"customer_id": "c-1", "text": "Do you deliver to Penang?"}


async def asked(system: System, last: str | None, **more: str) -> httpx2.Response:
    headers = {"Last-Event-ID": last} if last is not None else {}
    return await system.http.post("/api/query_async", json=BODY | more, headers=headers)


def ids(stream: httpx2.Response) -> list[str]:
    return [line.removeprefix("id: ") for line in stream.text.splitlines() if line.startswith("id: ")]


@pytest.mark.parametrize("own", [True, False])
async def test_it_is_told_so_and_not_asked_twice(system: System, own: bool) -> None:
    first = await asked(system, None)

    again = await asked(system, ids(first)[1] if own else "7")

    assert again.status_code == 422
    assert "send that message's message_id too" in again.json()["detail"]
    assert "Message-Id" not in again.headers
    assert len(system.perplexity.prompts) == 1


async def test_with_the_name_that_the_stream_told_it_goes_on(system: System) -> None:
    first = await asked(system, None)

    again = await asked(system, ids(first)[0], message_id=first.headers["Message-Id"])

    assert (again.status_code, ids(again)) == (200, ids(first)[1:])
    assert len(system.perplexity.prompts) == 1


async def test_an_empty_last_event_id_is_none(system: System) -> None:
    assert (await asked(system, "")).status_code == 200
