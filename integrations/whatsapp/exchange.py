"""One HTTP call to a vendor that may have an effect: tells "it surely never left" from "nobody knows".

Shared by both adapters, and the only place where the HTTP client's errors are known.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from typing import Any

import httpx2
from socksio import SOCKSError

from integrations.channels.failures import SendFailed, SendFailureKind

# Nothing of the request was sent when one of these is raised.
_NEVER_LEFT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    SOCKSError,  # the proxy speaks another protocol
    httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
)
_ANSWER_BYTES = 1_048_576


async def call(http: httpx2.AsyncClient, request: httpx2.Request, seconds: float) -> tuple[int, Any, float | None]:
    """Status, JSON body (None if it is none) and Retry-After in seconds. Raises SendFailed if no answer came.

    *seconds* bounds the whole call: the client's own time-outs start over with each byte.
    """
    try:
        async with asyncio.timeout(seconds):
            response = await http.send(request, stream=True)
            try:
                body = await _read(response)
            finally:
                await response.aclose()
    except _NEVER_LEFT as error:
        raise SendFailed(SendFailureKind.TRANSIENT, f"not reached: {type(error).__name__}") from None
    except (httpx2.HTTPError, TimeoutError) as error:
        raise SendFailed(SendFailureKind.UNKNOWN, f"no whole answer: {type(error).__name__}") from None
    return response.status_code, _json(body), _retry_after(response)


async def _read(response: httpx2.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > _ANSWER_BYTES:
            return b""
    return bytes(body)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _retry_after(response: httpx2.Response) -> float | None:
    """Only the form in seconds: neither vendor sends a date."""
    value = response.headers.get("retry-after", "")
    seconds = float(value) if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?", value, re.ASCII) else math.nan
    return seconds if math.isfinite(seconds) else None
