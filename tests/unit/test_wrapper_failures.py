"""Every way in which the wrapper, a proxy or the net fails → its kind."""

from __future__ import annotations

import json

import httpx2
import pytest

from integrations.perplexity.failures import from_error_text, from_exception, from_status
from integrations.retry_after import retry_after
from schemas.failures import Certainty, ModelFailureKind

CURL = "Failed to perform, curl: ({}) {}. See https://curl.se/libcurl/c/libcurl-errors.html first for more details."

NOW = 1_445_412_480.0
"""Wed, 21 Oct 2015 07:28:00 GMT"""

TEXTS = [
    ("'NoneType' object has no attribute 'get'", ModelFailureKind.BLOCKED),
    ("HTTP Error 403: ", ModelFailureKind.BLOCKED),
    ("list index out of range", ModelFailureKind.NO_ANSWER),
    ("404: Account 'acct-x' not found", ModelFailureKind.ACCOUNT),
    ("Missing essential cookies: a, b", ModelFailureKind.ACCOUNT),
    ("the account's cookies have expired", ModelFailureKind.ACCOUNT),
    ("HTTP Error 401: ", ModelFailureKind.ACCOUNT),
    ("Invalid search mode.", ModelFailureKind.REJECTED),
    ("Invalid model for the selected mode.", ModelFailureKind.REJECTED),
    ("Invalid sources.", ModelFailureKind.REJECTED),
    ("Expecting value: line 1 column 1 (char 0)", ModelFailureKind.UPSTREAM),
    ("something nobody has seen yet", ModelFailureKind.UPSTREAM),
    ("HTTP Error 404: Not Found", ModelFailureKind.UPSTREAM),
    ("HTTP Error 429: ", ModelFailureKind.RATE_LIMITED),
    ("HTTP Error 503: ", ModelFailureKind.OVERLOADED),
    (CURL.format(7, "Failed to connect to www.perplexity.ai port 443: Could not connect"), ModelFailureKind.CONNECT),
    (CURL.format(6, "Could not resolve host: www.perplexity.ai"), ModelFailureKind.CONNECT),
    (CURL.format(35, "TLS connect error"), ModelFailureKind.CONNECT),
    (CURL.format(28, "Connection timed out after 30000 milliseconds"), ModelFailureKind.CONNECT),
    (CURL.format(28, "Operation timed out after 30001 milliseconds with 0 bytes received"), ModelFailureKind.SILENT),
    (CURL.format(18, "transfer closed with outstanding read data remaining"), ModelFailureKind.CUT),
    (CURL.format(52, "Empty reply from server"), ModelFailureKind.CUT),
    (CURL.format(56, "Recv failure: Connection reset by peer"), ModelFailureKind.CUT),
    (CURL.format(56, "reset") + " (https://www.perplexity.ai/api/auth/session)", ModelFailureKind.SESSION),
    (CURL.format(7, "could not connect for the session call"), ModelFailureKind.SESSION),
]


@pytest.mark.parametrize(("text", "kind"), TEXTS)
def test_the_wrappers_error_texts(text: str, kind: ModelFailureKind) -> None:
    body = json.dumps({"error": text, "account_used": "acct-a"}).encode()

    assert from_error_text(text).kind is kind
    assert from_status(500, {}, body, NOW).kind is kind


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b"Invalid HTTP request received.", ModelFailureKind.QUESTION_TOO_LONG),
        (400, b'{"detail": "no"}', ModelFailureKind.REJECTED),
        (401, b"", ModelFailureKind.REJECTED),
        (403, b"<html>blocked</html>", ModelFailureKind.BLOCKED),
        (404, b'{"detail": "Not Found"}', ModelFailureKind.REJECTED),
        (302, b"", ModelFailureKind.REJECTED),
        (414, b"", ModelFailureKind.QUESTION_TOO_LONG),
        (422, b'{"detail": [{"loc": ["query", "q"]}]}', ModelFailureKind.REJECTED),
        (429, b"Too Many Requests", ModelFailureKind.RATE_LIMITED),
        (431, b"", ModelFailureKind.QUESTION_TOO_LONG),
        (500, b"Internal Server Error", ModelFailureKind.OVERLOADED),
        (500, b'{"error": null}', ModelFailureKind.OVERLOADED),
        (502, b"<!DOCTYPE html><h1>Bad Gateway</h1>", ModelFailureKind.OVERLOADED),
        (503, b'{"error": "list index out of range"}', ModelFailureKind.OVERLOADED),
        (504, b"", ModelFailureKind.OVERLOADED),
        (524, b"", ModelFailureKind.OVERLOADED),
    ],
)
def test_http_statuses(status: int, body: bytes, kind: ModelFailureKind) -> None:
    failed = from_status(status, {"retry-after": "7"}, body, NOW)

    assert (failed.kind, failed.retry_after) == (kind, 7.0)
    assert str(status) in failed.explanation
    assert "<" not in failed.explanation


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx2.ConnectError("refused"), ModelFailureKind.CONNECT),
        (httpx2.ConnectTimeout("slow"), ModelFailureKind.CONNECT),
        (httpx2.PoolTimeout("full"), ModelFailureKind.BUSY_HERE),
        (httpx2.ReadTimeout(""), ModelFailureKind.SILENT),
        (httpx2.ReadError("reset"), ModelFailureKind.CUT),
        (httpx2.WriteError("reset"), ModelFailureKind.CUT),
        (httpx2.RemoteProtocolError("peer closed connection"), ModelFailureKind.CUT),
        (httpx2.DecodingError("no gzip"), ModelFailureKind.MALFORMED),
        (httpx2.UnsupportedProtocol("ftp"), ModelFailureKind.REJECTED),
        (httpx2.InvalidURL("no"), ModelFailureKind.REJECTED),
    ],
)
def test_errors_of_the_http_client(error: Exception, kind: ModelFailureKind) -> None:
    assert from_exception(error).kind is kind


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        (" 1.5 ", 1.5),
        ("Wed, 21 Oct 2015 07:28:10 GMT", 10.0),
        ("Wed, 21 Oct 2015 07:27:00 GMT", 0.0),
        ("99999999", 86_400.0),
        ("soon", None),
        ("-5", None),
        ("", None),
        ("Wed, 99 Oct 2015 07:28:00 GMT", None),
    ],
)
def test_retry_after_in_both_of_its_forms(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds


def test_explanations_are_short_single_lines() -> None:
    failed = from_error_text("a\nb\r\n" + "x" * 5_000)

    assert "\n" not in failed.explanation
    assert len(failed.explanation) < 400


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (502, ModelFailureKind.GATEWAY),
        (503, ModelFailureKind.GATEWAY),
        (504, ModelFailureKind.OVERLOADED),
        (500, ModelFailureKind.OVERLOADED),
    ],
)
def test_in_the_place_of_a_stream_a_proxy_without_a_wrapper_has_asked_nobody(
    status: int, kind: ModelFailureKind
) -> None:
    failed = from_status(status, {}, b"<html>", NOW, streams=True)

    assert failed.kind is kind
    assert (
        (failed.policy.certainty is Certainty.NOT_SENT)
        == failed.policy.waited_out
        == (kind is ModelFailureKind.GATEWAY)
    )
