"""Every answer to a message says under which name it was taken, so that it can be sent again under it."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote
from uuid import UUID

import h11
import pytest

from tests.ports import free_port
from tests.system_in_process import System, running_system


async def call(system: System, path: str = "message", **body: Any) -> Any:
    return await system.http.post(f"/api/{path}", json={"customer_id": "c-1", "text": "Hello", **body})


def header_of(answer: Any) -> str:
    (value,) = [value for name, value in answer.headers.raw if name.lower() == b"message-id"]
    return str(value.decode("ascii"))


async def test_an_answer_names_a_message_whose_name_was_made_up(system: System) -> None:
    answer = await call(system)
    again = await call(system, message_id=answer.headers["Message-Id"])

    assert answer.headers["Message-Id"] == answer.json()["message_id"]
    assert again.json()["turn_id"] == answer.json()["turn_id"]


@pytest.mark.parametrize("path", ["message", "query_async"])
@pytest.mark.parametrize("message_id", ["m-1", "Größe 値 😀", "a%20b"])
async def test_a_given_name_is_in_the_header_encoded(system: System, path: str, message_id: str) -> None:
    answer = await call(system, path, message_id=message_id)
    headed = await system.http.post(
        f"/api/{path}",
        json={"customer_id": "c-1", "text": "Hello"},
        headers=[(b"Idempotency-Key", message_id.encode())],
    )
    conflict = await call(system, path, message_id=message_id, text="Another text")

    for each in (answer, headed, conflict):
        assert unquote(header_of(each)) == message_id
    assert (headed.status_code, conflict.status_code) == (200, 409)
    assert conflict.json()["message_id"] == message_id


@pytest.mark.parametrize("path", ["message", "query_async"])
@pytest.mark.parametrize("message_id", [" m-1", "m-1 ", " m 1 "])
async def test_a_name_with_a_blank_at_an_end_is_answered(system: System, path: str, message_id: str) -> None:
    answer = await call(system, path, message_id=message_id)

    h11.Response(status_code=answer.status_code, headers=answer.headers.raw)  # as uvicorn sends it; raises if illegal
    assert answer.status_code == 200
    assert header_of(answer) == message_id.replace(" ", "%20")


async def test_what_cannot_be_answered_now_names_the_message_to_send_again(postgres_url: str) -> None:
    async with running_system(postgres_url, f"127.0.0.1:{free_port()}", worker=False, connected=False) as system:
        answer = await call(system)
        events = [event async for event in system.stream("Hello again")]

    assert answer.status_code == 503
    assert UUID(answer.json()["message_id"]) == UUID(answer.headers["Message-Id"])
    assert [event.kind for event in events] == ["accepted", "error"]
    assert events[1].data["message_id"] == events[0].data["message_id"]


@pytest.mark.parametrize("path", ["message", "query_async"])
async def test_the_header_is_documented_with_its_encoding(system: System, path: str) -> None:
    described = (await system.http.get("/openapi.json")).json()["paths"][f"/api/{path}"]["post"]["responses"]

    named = {status for status, answer in described.items() if "Message-Id" in answer.get("headers", {})}
    assert named >= {"200", "409", "422", "429", "503"}
    assert "percent-encoded" in described["200"]["headers"]["Message-Id"]["description"]


async def test_only_an_answer_to_a_message_has_the_header(system: System) -> None:
    await call(system)

    assert "Message-Id" not in (await system.http.get("/api/session/c-1")).headers
    assert "Message-Id" not in (await system.http.post("/api/message", json={})).headers


async def test_a_stream_that_cannot_be_answered_now_says_when_to_come_again(postgres_url: str) -> None:
    async with running_system(postgres_url, f"127.0.0.1:{free_port()}", worker=False, connected=False) as system:
        answer = await system.http.post("/api/query_async", json={"customer_id": "c-1", "text": "Hello"})

    told = answer.text.split("\n\n")[1].splitlines()
    assert answer.status_code == 200
    assert {"event: error", "retry: 2000"} <= set(told)
    assert '"status": 503' in answer.text
