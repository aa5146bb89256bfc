"""Every way in which the wrapper, a proxy or the net fails → its kind."""

from __future__ import annotations

import json

import httpx2
import pytest

from integrations.perplexity.failures import from_error_text, from_exception, from_status, retry_after
from schemas.failures import Certainty, FailureKind

CURL = "Failed to perform, curl: ({}) {}. See https://curl.se/libcurl/c/libcurl-errors.html first for more details."

NOW = 1_445_412_480.0
"""Wed, 21 Oct 2015 07:28:00 GMT"""

TEXTS = [
    ("'NoneType' object has no attribute 'get'", FailureKind.BLOCKED),
    ("HTTP Error 403: ", FailureKind.BLOCKED),
    ("list index out of range", FailureKind.NO_ANSWER),
    ("404: Account 'acct-x' not found", FailureKind.ACCOUNT),
    ("Missing essential cookies: a, b", FailureKind.ACCOUNT),
    ("the account's cookies have expired", FailureKind.ACCOUNT),
    ("HTTP Error 401: ", FailureKind.ACCOUNT),
    ("Invalid search mode.", FailureKind.REJECTED),
    ("Invalid model for the selected mode.", FailureKind.REJECTED),
    ("Invalid sources.", FailureKind.REJECTED),
    ("Expecting value: line 1 column 1 (char 0)", FailureKind.UPSTREAM),
    ("something nobody has seen yet", FailureKind.UPSTREAM),
    ("HTTP Error 404: Not Found", FailureKind.UPSTREAM),
    ("HTTP Error 429: ", FailureKind.RATE_LIMITED),
    ("HTTP Error 503: ", FailureKind.OVERLOADED),
    (CURL.format(7, "Failed to connect to www.perplexity.ai port 443: Could not connect"), FailureKind.CONNECT),
    (CURL.format(6, "Could not resolve host: www.perplexity.ai"), FailureKind.CONNECT),
    (CURL.format(35, "TLS connect error"), FailureKind.CONNECT),
    (CURL.format(28, "Connection timed out after 30000 milliseconds"), FailureKind.CONNECT),
    (CURL.format(28, "Operation timed out after 30001 milliseconds with 0 bytes received"), FailureKind.SILENT),
    (CURL.format(18, "transfer closed with outstanding read data remaining"), FailureKind.CUT),
    (CURL.format(52, "Empty reply from server"), FailureKind.CUT),
    (CURL.format(56, "Recv failure: Connection reset by peer"), FailureKind.CUT),
    (CURL.format(56, "reset") + " (https://www.perplexity.ai/api/auth/session)", FailureKind.SESSION),
    (CURL.format(7, "could not connect for the session call"), FailureKind.SESSION),
]


@pytest.mark.parametrize(("text", "kind"), TEXTS)
def test_the_wrappers_error_texts(text: str, kind: FailureKind) -> None:
    body = json.dumps({"error": text, "account_used": "acct-a"}).encode()

    assert from_error_text(text).kind is kind
    assert from_status(500, {}, body, NOW).kind is kind


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b"Invalid HTTP request received.", FailureKind.QUESTION_TOO_LONG),
        (400, b'{"detail": "no"}', FailureKind.REJECTED),
        (401, b"", FailureKind.REJECTED),
        (403, b"<html>blocked</html>", FailureKind.BLOCKED),
        (404, b'{"detail": "Not Found"}', FailureKind.REJECTED),
        (302, b"", FailureKind.REJECTED),
        (414, b"", FailureKind.QUESTION_TOO_LONG),
        (422, b'{"detail": [{"loc": ["query", "q"]}]}', FailureKind.REJECTED),
        (429, b"Too Many Requests", FailureKind.RATE_LIMITED),
        (431, b"", FailureKind.QUESTION_TOO_LONG),
        (500, b"Internal Server Error", FailureKind.OVERLOADED),
        (500, b'{"error": null}', FailureKind.OVERLOADED),
        (502, b"<!DOCTYPE html><h1>Bad Gateway</h1>", FailureKind.OVERLOADED),
        (503, b'{"error": "list index out of range"}', FailureKind.OVERLOADED),
        (504, b"", FailureKind.OVERLOADED),
        (524, b"", FailureKind.OVERLOADED),
    ],
)
def test_http_statuses(status: int, body: bytes, kind: FailureKind) -> None:
    failed = from_status(status, {"retry-after": "7"}, body, NOW)

    assert (failed.kind, failed.retry_after) == (kind, 7.0)
    assert str(status) in failed.explanation
    assert "<" not in failed.explanation


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx2.ConnectError("refused"), FailureKind.CONNECT),
        (httpx2.ConnectTimeout("slow"), FailureKind.CONNECT),
        (httpx2.PoolTimeout("full"), FailureKind.BUSY_HERE),
        (httpx2.ReadTimeout(""), FailureKind.SILENT),
        (httpx2.ReadError("reset"), FailureKind.CUT),
        (httpx2.WriteError("reset"), FailureKind.CUT),
        (httpx2.RemoteProtocolError("peer closed connection"), FailureKind.CUT),
        (httpx2.DecodingError("no gzip"), FailureKind.MALFORMED),
        (httpx2.UnsupportedProtocol("ftp"), FailureKind.REJECTED),
        (httpx2.InvalidURL("no"), FailureKind.REJECTED),
    ],
)
def test_errors_of_the_http_client(error: Exception, kind: FailureKind) -> None:
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
        (502, FailureKind.GATEWAY),
        (503, FailureKind.GATEWAY),
        (504, FailureKind.OVERLOADED),
        (500, FailureKind.OVERLOADED),
    ],
)
def test_in_the_place_of_a_stream_a_proxy_without_a_wrapper_has_asked_nobody(status: int, kind: FailureKind) -> None:
    failed = from_status(status, {}, b"<html>", NOW, streams=True)

    assert failed.kind is kind
    assert (failed.policy.certainty is Certainty.NOT_ASKED) == failed.policy.waited_out == (kind is FailureKind.GATEWAY)
