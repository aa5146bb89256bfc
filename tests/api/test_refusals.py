"""What the API refuses, and how: problems with a stable type, never a 5xx, nothing half-taken."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx2
import pytest

from tests.support.clock import NOW
from tests.system_in_process import System, running_system

JSON = {"Content-Type": "application/json"}

BAD_BODIES = {
    "empty": (b"", 422),
    "blank": (b"  ", 422),
    "not JSON": (b"{", 400),
    "NaN": (b'{"customer_id": "c", "text": NaN}', 400),
    "not UTF-8": (b'{"customer_id": "c", "text": "\xff"}', 400),
    "NUL in the text": (b'{"customer_id": "c", "text": "a\\u0000b"}', 422),
    "NUL in the id": (b'{"customer_id": "a\\u0000b", "text": "x"}', 422),
    "a lone surrogate": (b'{"customer_id": "c", "text": "\\ud800"}', 422),
    "an array": (b"[]", 422),
    "null": (b"null", 422),
    "a number as text": (b'{"customer_id": "c", "text": 7}', 422),
    "text that shows nothing": (b'{"customer_id": "c", "text": "\\u3164\\u200b"}', 422),
    "blank text": (b'{"customer_id": "c", "text": " \\n "}', 422),
    "no customer": (b'{"text": "x"}', 422),
    "a long customer id": (b'{"customer_id": "' + b"c" * 300 + b'", "text": "x"}', 422),
    "a line break in the id": (b'{"customer_id": "c\\nd", "text": "x"}', 422),
    "an unknown field": (b'{"customer_id": "c", "text": "x", "state": "closed"}', 422),
    "an unknown assistant": (b'{"customer_id": "c", "text": "x", "assistant": "nobody"}', 422),
    "a bad channel": (b'{"customer_id": "c", "text": "x", "channel": "../x"}', 422),
    "deeply nested": (b"[" * 100_000 + b"]" * 100_000, 400),
    "nested in text": (b'{"customer_id": "c", "text": ' + b"[" * 60 + b"]" * 60 + b"}", 400),
    "10^400": (b'{"customer_id": "c", "text": 1' + b"0" * 400 + b"}", 422),
    "too many characters": (b'{"customer_id": "c", "text": "' + b"x" * 20_001 + b'"}', 422),
    "too many bytes": (b'{"customer_id": "c", "text": "' + b"x" * 300_000 + b'"}', 413),
}


@pytest.fixture(scope="module")
async def of_all(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    async with running_system(postgres_url, temporal_address) as system:
        yield system


@pytest.fixture
async def unused(of_all: System) -> AsyncIterator[System]:
    """One for all who are refused, each on a connection of their own: it never takes a message."""
    first = of_all.http
    async with httpx2.AsyncClient(base_url=first.base_url, headers=first.headers, timeout=first.timeout) as http:
        yield replace(of_all, http=http)


@pytest.mark.parametrize("path", ["/api/message", "/api/query_async"])
@pytest.mark.parametrize("name", BAD_BODIES)
async def test_a_bad_body_is_refused_with_a_problem(unused: System, path: str, name: str) -> None:
    body, status = BAD_BODIES[name]

    response = await unused.http.post(path, content=body, headers=JSON)

    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["request_id"] == response.headers["X-Request-ID"]
    assert await unused.database.rows("SELECT 1 FROM messages") == []


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_only_json_is_taken(unused: System, kind: str) -> None:
    response = await unused.http.post("/api/message", content=b"{}", headers={"Content-Type": kind})

    assert response.status_code == 415


@pytest.mark.parametrize("key", ["wrong", "ключ", "x" * 5_000, "a b"])
async def test_a_wrong_key_is_refused(unused: System, key: str) -> None:
    async with httpx2.AsyncClient(base_url=unused.http.base_url) as without_key:
        headers = [(b"Authorization", f"Bearer {key}".encode())]
        response = await without_key.get("/api/session/c-1", headers=headers)

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"customer_id": "c", "text": 1' + b"0" * 5_000 + b"}", "has 5001 digits; it may have at most 1000"),
        (b'\xef\xbb\xbf{"customer_id": "c", "text": "x"}', "begins with a byte order mark"),
    ],
)
@pytest.mark.parametrize("path", ["message", "query_async", "actions/simulate", "session/c-1/state"])
async def test_a_caller_reads_words_for_callers(unused: System, path: str, body: bytes, words: str) -> None:
    refused = await unused.http.post(f"/api/{path}", content=body, headers=JSON)

    assert refused.status_code == 400
    assert words in refused.json()["detail"]
    assert "python" not in refused.text.lower()
    assert "sys." not in refused.text


@pytest.mark.parametrize("path", ["api/session/%ff", "api/session/c%C3/thread", "playground%80", "%fe"])
async def test_a_path_that_is_not_utf8_is_nobodys(system: System, path: str) -> None:
    await system.send("private words", customer="\ufffd")

    refused = await system.http.get(f"/{path}")

    assert refused.status_code == 400
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert "not UTF-8" in refused.json()["detail"]
    assert (await system.http.get("/api/session/%EF%BF%BD")).status_code == 200


async def test_another_text_under_a_used_id_is_a_conflict(system: System) -> None:
    await system.send("Hello", message_id="m-1")

    response = await system.send("Something else", message_id="m-1")

    assert response.status_code == 409
    assert response.json()["type"] == "urn:perplexity-agent:problem:conflict"


async def test_customers_ids_do_not_meet(system: System) -> None:
    one = (await system.send("I am one", customer="one", message_id="1")).json()
    two = (await system.send("I am two", customer="two", message_id="1")).json()

    assert one["reply"]["text"] == "You said: I am one"
    assert two["reply"]["text"] == "You said: I am two"
    assert one["conversation_id"] != two["conversation_id"]


async def test_idempotency_key_stands_for_the_message_id(system: System) -> None:
    body = {"customer_id": "c-1", "text": "Hello"}
    headers = {"Idempotency-Key": "k-1"}

    first = (await system.http.post("/api/message", json=body, headers=headers)).json()
    again = (await system.http.post("/api/message", json=body, headers=headers)).json()
    both = await system.http.post("/api/message", json={**body, "message_id": "m"}, headers=headers)

    assert first["message_id"] == "k-1"
    assert again == first
    assert both.status_code == 422


async def test_an_unknown_customer_is_404(unused: System) -> None:
    for path in ("", "/thread", "/turns"):
        response = await unused.http.get(f"/api/session/nobody{path}")
        assert response.status_code == 404
    assert (await unused.http.post("/api/session/nobody/reset", json={})).status_code == 404


BAD_QUERIES = [
    *(f"session/c-1/turns?limit={limit}" for limit in ("-1", "0", "x", "", "5.0", "1_0", "%205", "%D9%A5")),
    *("session/c-1/turns?before=yesterday", "session/c-1/turns?before=", "session/c-1/transitions?before="),
    *(f"drift?since={since}" for since in ("0", str(int(NOW.timestamp())), "1.5", str(NOW.date()), "", f"{NOW:%FT%T}")),
    *("drift?before=", "effects?before=", "effects?status=", "deliveries?before=", "deliveries?status="),
]


async def test_a_bad_query_is_422(system: System) -> None:
    await system.send("Hello")

    answers = {query: await system.http.get(f"/api/{query}") for query in BAD_QUERIES}

    assert {query: answer.status_code for query, answer in answers.items()} == dict.fromkeys(BAD_QUERIES, 422)
    assert {answer.headers["Content-Type"] for answer in answers.values()} == {"application/problem+json"}


async def test_our_own_sentences_stand_alone(unused: System) -> None:
    body = {"customer_id": "c", "text": " "}
    answers = [
        await unused.http.get("/api/drift?limit=1_0"),
        await unused.http.get("/api/drift?since=0"),
        await unused.http.post("/api/message", json=body),
        await unused.http.post("/api/actions/simulate", json={}),
    ]

    told = [error["message"] for answer in answers for error in answer.json()["errors"]]
    assert (len(told), told[0]) == (4, "must be a whole number, in digits")
    assert [words for words in told if "error" in words] == []


async def test_a_moment_with_its_zone_is_taken(unused: System) -> None:
    for since in (f"{NOW:%FT%T}Z", f"{NOW:%FT%T}+08:00", f"{NOW:%FT%R}Z", NOW.isoformat()):
        assert (await unused.http.get("/api/drift", params={"since": since})).status_code == 200


@pytest.mark.parametrize("zone", ["%2B14:00", "-14:00", "Z"])
@pytest.mark.parametrize("year", ["0001-01-01T00:00:00", "9999-12-31T23:59:59"])
async def test_a_moment_at_the_end_of_all_years_is_read_or_refused(unused: System, year: str, zone: str) -> None:
    beyond = (year.startswith("0001") and zone == "%2B14:00") or (year.startswith("9999") and zone == "-14:00")

    answer = await unused.http.get(f"/api/drift?since={year}{zone}")

    assert answer.status_code == (422 if beyond else 200)


@pytest.mark.parametrize(
    ("path", "name", "more"),
    [
        ("approval", "approved", {"digest": "0" * 64, "agent_name": "Ann"}),
        (f"questions/{UUID(int=0)}", "approved", {"agent_name": "Ann"}),
        ("reset", "new_thread", {}),
    ],
)
async def test_only_true_and_false_say_yes_and_no(system: System, path: str, name: str, more: dict[str, Any]) -> None:
    await system.send("Hello")

    for value in ("yes", "true", "no", 1, 0, None, [], 1.0):
        response = await system.http.post(f"/api/session/c-1/{path}", json={**more, name: value})

        assert response.status_code == 422, value
        assert [error["path"] for error in response.json()["errors"]] == [f"/body/{name}"]


async def test_turns_come_newest_first_with_raw_output(system: System) -> None:
    for text in ("one", "two", "three"):
        await system.send(text)

    newest = await system.http.get("/api/session/c-1/turns?limit=2")
    before = newest.headers["Next-Before"]
    older = await system.http.get("/api/session/c-1/turns", params={"limit": 2, "before": before})

    assert [turn["attempts"][0]["raw_output"] for turn in newest.json()] == ["You said: three", "You said: two"]
    assert [turn["reply"]["text"] for turn in older.json()] == ["You said: one"]
    assert "Next-Before" not in older.headers


async def test_health_metrics_and_docs(system: System) -> None:
    await system.send("Hello")

    assert (await system.http.get("/healthz")).status_code == 200
    assert (await system.http.get("/readyz")).json()["ready"] is True
    metrics = (await system.http.get("/metrics")).text
    assert "agent_waiting_messages 0.0" in metrics
    assert 'agent_turns_total{status="answered",verdict="text"}' in metrics
    assert (await system.http.get("/docs")).status_code == 200


async def test_the_printed_address_leads_a_browser_to_the_playground(unused: System) -> None:
    opened = await unused.http.get("/", headers={"Accept": "text/html"}, follow_redirects=True)

    assert (opened.status_code, opened.url.path) == (200, "/playground")
