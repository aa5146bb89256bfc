"""What is left of a request in the log and the counts: enough to find it, and never a word of it."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import APIRouter, Request
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from api.problems import name_message
from tests.unconnected import calling, unconnected_app

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("GET", "/api/session/ana%40example.org/turns?before=words", "/api/session/{customer_id}/turns", 401),
        ("POST", "/api/message", "none", 415),
        ("GET", "/words", "none", 404),
        ("GET", "/%ffwords", "none", 400),
        ("WORDS", "/api/drift", "/api/drift", 405),
        ("HEAD", "/healthz", "/healthz", 200),
    ],
)
async def test_it_names_the_route_and_no_word(method: str, path: str, route: str, status: int) -> None:
    async with calling(await unconnected_app()) as http:
        with capture_logs() as lines:
            answer = await http.request(method, path, headers={"Content-Type": "text/plain"}, content=b"words")

    [line] = [line for line in lines if line["event"] == "request"]
    assert answer.status_code == status
    assert line.keys() == {"event", "log_level", "method", "route", "status", "ms"}
    assert (line["route"], line["status"]) == (route, status)
    assert line["log_level"] == ("debug" if route == "/healthz" else "info")
    assert not {"words", "WORDS", "ana"} & set(str(line).replace("'", " ").split())


async def test_each_is_counted() -> None:
    labels = {"method": "GET", "route": "/api/drift", "status": "401"}
    before = REGISTRY.get_sample_value("agent_requests_total", labels) or 0

    async with calling(await unconnected_app()) as http:
        await http.get("/api/drift")

    assert REGISTRY.get_sample_value("agent_requests_total", labels) == before + 1


async def test_an_error_of_ours_is_named_as_other_answers_are() -> None:
    router = APIRouter()

    @router.get("/phone")  # where there is none
    async def broken(request: Request) -> None:
        name_message(request, "m \u00fc")
        raise RuntimeError

    async with calling(await unconnected_app([router])) as http:
        with capture_logs() as lines:
            answer = await http.get("/phone", headers={"X-Request-ID": "request-0123"})

    assert answer.status_code == 500
    assert answer.headers["Message-Id"] == "m%20%C3%BC"
    assert answer.headers["X-Request-ID"] == answer.json()["request_id"] == "request-0123"
    assert [line["status"] for line in lines if line["event"] == "request"] == [500]


SIGNED = {"whatsapp_app_secret": "secret", "twilio_auth_token": "token", "twilio_account_sid": "AC1"}


@pytest.mark.parametrize(
    ("call", "headers", "settings", "status", "mend"),
    [
        ("POST whatsapp", JSON, {}, 401, "WHATSAPP_APP_SECRET is not set"),
        ("POST whatsapp", JSON, SIGNED, 401, "WHATSAPP_APP_SECRET is another one than the caller signs with"),
        ("POST twilio", FORM, {}, 401, "TWILIO_AUTH_TOKEN is not set"),
        ("POST twilio", FORM, SIGNED, 401, "PUBLIC_URL is not the address that was called"),
        ("POST twilio", JSON, SIGNED, 415, None),
        ("GET whatsapp", {}, {}, 403, "WHATSAPP_VERIFY_TOKEN is not set"),
        ("GET whatsapp", {}, {"whatsapp_verify_token": "t"}, 403, "WHATSAPP_VERIFY_TOKEN fits no"),
    ],
)
async def test_a_refused_webhook_leaves_a_line_and_a_count(
    call: str, headers: dict[str, str], settings: dict[str, Any], status: int, mend: str | None
) -> None:
    refused = {"channel": "whatsapp", "outcome": "refused"}
    before = REGISTRY.get_sample_value("agent_webhook_messages_total", refused) or 0
    method, provider = call.split()

    async with calling(await unconnected_app(**settings)) as http:
        with capture_logs() as lines:
            answer = await http.request(method, f"/api/webhooks/{provider}", content=b"words=1", headers=headers)

    [line] = [line for line in lines if line["event"] == "webhook_refused"]
    assert (answer.status_code, line["status"], line["log_level"]) == (status, status, "warning")
    assert mend is None or mend in line["unless_forged"]
    assert "words" not in str(line)
    assert REGISTRY.get_sample_value("agent_webhook_messages_total", refused) == before + 1
