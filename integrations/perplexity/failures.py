"""What the wrapper and the net do when something fails → AskFailed. `schemas.failures` says what follows from each.

Nearly every error of the wrapper is HTTP 500, or an error frame under HTTP 200, with the text of a Python exception
(docs/wrapper.md), so texts are all there is to go by. The first matching line of `_TEXTS` counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import httpx2
from socksio import SOCKSError

from integrations.characters import storable
from integrations.perplexity.frames import parse_object
from integrations.perplexity.port import AskFailed
from integrations.retry_after import retry_after
from schemas.failures import ModelFailureKind

_MAX_EXPLANATION = 300

_TEXTS: tuple[tuple[re.Pattern[str], ModelFailureKind], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), kind)
    for pattern, kind in (
        # Each call first calls upstream's session address: what fails there was never asked.
        (r"/auth/session|session (address|call|request)", ModelFailureKind.SESSION),
        (r"account .*(not found|already exists)|missing essential cookies", ModelFailureKind.ACCOUNT),
        (
            r"(cookie|session|account|token).*(expired|invalid)|http error 401|no remaining pro queries",
            ModelFailureKind.ACCOUNT,
        ),
        (r"invalid search mode|invalid model for|invalid sources", ModelFailureKind.REJECTED),
        # curl: no proxy, no address, no connection (also: out of file descriptors), no TLS; nothing was sent.
        (r"curl: \((5|6|7|35|60)\)|(connection|resolving) timed out", ModelFailureKind.CONNECT),
        (r"curl: \(28\)", ModelFailureKind.SILENT),
        # curl: partial file, HTTP/2, nothing, send, receive, HTTP/2 stream: it broke after the prompt had left.
        (r"curl: \((16|18|52|55|56|92)\)", ModelFailureKind.CUT),
        (r"http error 429|rate.?limit|too many requests", ModelFailureKind.RATE_LIMITED),
        (r"http error 403|'nonetype' object", ModelFailureKind.BLOCKED),
        (r"http error 50[234]", ModelFailureKind.OVERLOADED),
        (r"list index out of range", ModelFailureKind.NO_ANSWER),
    )
)

_STATUSES: dict[int, ModelFailureKind] = {
    403: ModelFailureKind.BLOCKED,
    408: ModelFailureKind.OVERLOADED,
    413: ModelFailureKind.QUESTION_TOO_LONG,
    414: ModelFailureKind.QUESTION_TOO_LONG,
    429: ModelFailureKind.RATE_LIMITED,
    431: ModelFailureKind.QUESTION_TOO_LONG,
}

_NEVER_TAKEN = {502, 503}
"""Of a proxy with no wrapper behind it. A stream's headers come before upstream is asked (docs/wrapper.md), so
where this status comes in their place, nothing was asked; behind a 504 the wrapper may still take the prompt."""

_EXCEPTIONS: tuple[tuple[type[Exception], ModelFailureKind], ...] = (
    (httpx2.PoolTimeout, ModelFailureKind.BUSY_HERE),
    (httpx2.ConnectTimeout, ModelFailureKind.CONNECT),
    (httpx2.ConnectError, ModelFailureKind.CONNECT),
    (httpx2.ProxyError, ModelFailureKind.CONNECT),
    (SOCKSError, ModelFailureKind.CONNECT),  # what listens there speaks another protocol
    (httpx2.ReadTimeout, ModelFailureKind.SILENT),
    (httpx2.DecodingError, ModelFailureKind.MALFORMED),
    (httpx2.UnsupportedProtocol, ModelFailureKind.REJECTED),
    (httpx2.LocalProtocolError, ModelFailureKind.REJECTED),
    (httpx2.InvalidURL, ModelFailureKind.REJECTED),
)


def from_error_text(text: str) -> AskFailed:
    """For `{"error": text}`, as a body or as a frame; what no line of the table knows is UPSTREAM."""
    kind = next((kind for pattern, kind in _TEXTS if pattern.search(text)), ModelFailureKind.UPSTREAM)
    return AskFailed(kind, "the wrapper says", said=short(text))


def from_status(
    status: int, headers: Mapping[str, str], body: bytes, now: float, *, streams: bool = False
) -> AskFailed:
    """For every HTTP status but 200. *headers* by lower-case name; *body* may be cut; *now* in Unix seconds.

    *streams*: a stream was asked for.
    """
    said = parse_object(body)
    error = said.get("error") if said else None
    if status == 500 and isinstance(error, str):
        return from_error_text(error)
    text = body.decode("utf-8", errors="replace")
    words = short(error if isinstance(error, str) else text)
    pause = retry_after(headers.get("retry-after"), now)
    kind = ModelFailureKind.GATEWAY if streams and status in _NEVER_TAKEN else _kind_of_status(status, text)
    return AskFailed(kind, f"HTTP {status}", said=words, retry_after=pause)


def from_exception(error: Exception) -> AskFailed:
    """For the HTTP client's own errors. Broken after the connection stood: the prompt may have been put."""
    kind = next((kind for known, kind in _EXCEPTIONS if isinstance(error, known)), ModelFailureKind.CUT)
    return AskFailed(kind, type(error).__name__, said=short(str(error)))


def _kind_of_status(status: int, text: str) -> ModelFailureKind:
    if status in _STATUSES:
        return _STATUSES[status]
    if status == 400 and "Invalid HTTP request" in text:
        return ModelFailureKind.QUESTION_TOO_LONG
    # Any other 5xx comes from a proxy or from a wrapper in pieces: it may have passed the prompt on.
    return ModelFailureKind.OVERLOADED if status >= 500 else ModelFailureKind.REJECTED


def short(text: str) -> str:
    """One line, cut: explanations are logged. An HTML page is named, not quoted."""
    if re.match(r"\s*<(!doctype|html)", text, re.IGNORECASE):
        return "an HTML page"
    return " ".join(storable(text).split())[:_MAX_EXPLANATION]
