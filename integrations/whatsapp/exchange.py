"""One HTTP call to a vendor that may have an effect: tells "it surely never left" from "nobody knows".

Shared by both adapters, and the only place where the HTTP client's errors are known.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2
from socksio import SOCKSError

from config.clock import utc_now
from integrations import capped
from integrations.channels.failures import SendFailed, SendFailureKind
from integrations.retry_after import retry_after

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
    after = retry_after(response.headers.get("retry-after"), utc_now().timestamp())
    return response.status_code, _json(body), after


async def _read(response: httpx2.Response) -> bytes:
    try:
        return await capped.whole(response.aiter_bytes(), _ANSWER_BYTES)
    except capped.TooLarge:
        return b""


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
