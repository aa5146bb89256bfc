"""What a service's answer to a call says: done, surely not done, or unknown. The table of docs/actions.md in code.

A GET changes nothing, so there is no doubt about it: it brought something to read, or it did not. Of any other method
only an answer that says no (4xx) is a no.
"""

from __future__ import annotations

import codecs
import zlib
from collections.abc import AsyncIterator
from http import HTTPStatus

import httpx2

from config.clock import utc_now
from integrations import capped
from integrations.characters import storable
from integrations.endpoints.port import CallFailureKind, EndpointFailed, EndpointResult
from integrations.retry_after import retry_after
from schemas.actions import Endpoint

_TEXT = ("text/", "application/json", "application/problem+json", "application/xml")
_PACKED = frozenset({"gzip", "x-gzip", "deflate"})


class _Unread(Exception):
    """An answer that holds nothing to read; the message says why."""


async def result_of(response: httpx2.Response, endpoint: Endpoint, max_bytes: int) -> EndpointResult:
    """The answer of a call that was done, or of a GET that found nothing. Raises EndpointFailed for any other."""
    _check(response, endpoint)
    result = EndpointResult(status=response.status_code, content_type=response.headers.get("content-type", ""))
    try:
        return result.model_copy(update={"body": await _text(response, max_bytes)})
    except _Unread as why:
        if endpoint.reads and response.is_success:
            raise EndpointFailed(CallFailureKind.FAILED, f"{endpoint.name} answered with {why}") from None
        return result.model_copy(update={"unread": str(why)})


def _check(response: httpx2.Response, endpoint: Endpoint) -> None:
    """Raises EndpointFailed unless the status says that it is done, or that there is nothing to read."""
    status = response.status_code
    if response.is_success or (endpoint.reads and status == HTTPStatus.NOT_FOUND):
        return
    after = retry_after(response.headers.get("retry-after"), utc_now().timestamp())
    raise EndpointFailed(_kind(status, endpoint), f"{endpoint.name} answered {status}", retry_after=after)


def _kind(status: int, endpoint: Endpoint) -> CallFailureKind:
    """What is known after *status*, which is no success."""
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return CallFailureKind.NOT_SENT
    if status == HTTPStatus.CONFLICT and endpoint.honours_idempotency_key:
        return CallFailureKind.NOT_SENT  # an attempt before this one may be at it, under the same key
    if status >= 500 or status == HTTPStatus.REQUEST_TIMEOUT:
        return CallFailureKind.NOT_SENT if endpoint.reads else CallFailureKind.UNKNOWN
    if status < 400:  # a redirect is not followed; some services answer with one after they did it
        return CallFailureKind.FAILED if endpoint.reads else CallFailureKind.UNKNOWN
    return CallFailureKind.FAILED


async def _text(response: httpx2.Response, max_bytes: int) -> str:
    """The body as text. Raises _Unread for one that is none, or larger than is taken."""
    kind = response.headers.get("content-type", "application/json").split(";")[0].strip().lower()
    if not kind.startswith(_TEXT) and not kind.endswith("+json"):
        raise _Unread(f"{storable(kind)[:80] or 'no type'}, which is no text")
    packing = response.headers.get("content-encoding", "identity").strip().lower()
    pieces: AsyncIterator[bytes] = response.aiter_raw()
    if packing in _PACKED:
        pieces = capped.unpacked(pieces)
    elif packing not in ("", "identity"):
        raise _Unread("a body that is packed in a way nobody asked for")
    try:
        body = await capped.whole(pieces, max_bytes)
    except capped.TooLarge as error:
        raise _Unread(str(error)) from None
    except zlib.error:
        raise _Unread("a packed body that cannot be unpacked") from None
    return storable(body.decode(_charset(response), errors="replace"))


def _charset(response: httpx2.Response) -> str:
    """As it is declared, if that is a charset at all; else UTF-8."""
    try:
        declared = codecs.lookup(response.charset_encoding or "utf-8")
        "".encode(declared.name)  # not every codec is one of text: `charset=hex`
    except (LookupError, ValueError):
        return "utf-8"
    return declared.name
