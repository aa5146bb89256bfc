"""What clients send beside the plain request: offers to upgrade, blanks behind values, an older HTTP."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.support.waiting import within
from tests.system_in_process import KEY, System

H2C = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
WEBSOCKET = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n"


async def exchange(system: System, headers: str, *, version: str = "1.1", path: str = "/api/message") -> bytes:
    """Posts a message, its body a moment behind its head; what came back until the connection closed."""
    body = json.dumps({"customer_id": "c-1", "text": "Hello"}).encode()
    head = f"POST {path} HTTP/{version}\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"
    reader, writer = await asyncio.open_connection(system.http.base_url.host, system.http.base_url.port)
    writer.write(f"{head}{headers}Content-Length: {len(body)}\r\n\r\n".encode())
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.write(body)
    came = bytearray()
    await within(
        f"a whole answer to {path} with {headers!r}", _until_whole(reader, came), lambda: bytes(came), seconds=20
    )
    writer.close()
    await writer.wait_closed()
    return bytes(came)


async def _until_whole(reader: asyncio.StreamReader, came: bytearray) -> None:
    """To the end of a connection, or of a JSON answer on one that stays open; *came* gets what comes."""
    while piece := await reader.read(65_536):
        came += piece
        if came.rstrip().endswith(b"}"):
            break


@pytest.mark.parametrize("offer", [H2C, WEBSOCKET])
async def test_an_upgrade_that_is_offered_is_ignored(system: System, offer: str) -> None:
    answer = await exchange(system, offer)

    assert answer.startswith(b"HTTP/1.1 200"), answer
    assert b"You said: Hello" in answer


async def test_blanks_behind_a_header_value_are_no_part_of_it(system: System) -> None:
    for blanks in ("", "  ", "\t", " \t "):
        answer = await exchange(system, f"Idempotency-Key: k-1{blanks}\r\nConnection: close\r\n")
        assert answer.startswith(b"HTTP/1.1 200"), answer

    turns = (await system.http.get("/api/session/c-1/turns")).json()
    assert [turn["message_id"] for turn in turns] == ["k-1"]


async def test_a_stream_for_an_older_client_has_no_chunked_framing(system: System) -> None:
    answer = await exchange(system, "Idempotency-Key: k-1\r\n", version="1.0", path="/api/query_async")

    head, _, content = answer.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert content.startswith((b"event:", b"id:", b"data:", b":")), content[:80]


async def test_a_target_with_scheme_and_host_is_taken(system: System) -> None:
    answer = await exchange(system, "Connection: close\r\n", path="http://bots.example/api/message")

    assert answer.startswith(b"HTTP/1.1 200"), answer
    assert b"You said: Hello" in answer
