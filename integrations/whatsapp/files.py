"""Downloads a customer's file within limits. What a customer sends is never trusted: neither its type nor its size.

Shared by both adapters. Nothing is decompressed or opened in here, so a bomb stays as small as it came.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from hashlib import sha256

import httpx2
from pydantic import BaseModel, ConfigDict, Field
from socksio import SOCKSError

from integrations import capped
from integrations.channels.failures import MediaFailed, MediaFailureKind
from integrations.channels.port import MediaFile
from integrations.whatsapp.port import MediaInfo

ALLOWED_TYPES = frozenset(
    {
        *("image/jpeg", "image/png", "image/webp"),
        *("audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg", "audio/3gpp"),
        *("video/mp4", "video/3gpp"),
        *("application/pdf", "text/plain", "text/csv", "application/msword"),
        *("application/vnd.ms-excel", "application/vnd.ms-powerpoint"),
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    }
)
"""Meta's supported types (read 2026-11). SVG, HTML and archives are missing on purpose: they run or unfold."""

_MARKUP = (b"<svg", b"<!doctype", b"<html", b"<?xml", b"<script")
_EXPIRED = frozenset({404, 410})


class MediaLimits(BaseModel):
    """`max_bytes` a file, `seconds` for the whole download; `hosts` may be downloaded from, over https only."""

    model_config = ConfigDict(frozen=True)

    max_bytes: int = Field(ge=1)
    seconds: float = Field(gt=0)
    hosts: tuple[str, ...]
    own_origin: str = ""
    """The API's own address, whose files are taken also over plain http (a stand-in on this machine)."""


Headers = Callable[[str], dict[str, str]]


def mime_type(value: str) -> str:
    """`audio/ogg; codecs=opus` → `audio/ogg`."""
    return value.split(";")[0].strip().lower()


def check_host(url: str, limits: MediaLimits) -> httpx2.URL:
    """Raises MediaFailed unless *url* is the channel's: our token goes along, and inner addresses answer."""
    try:
        parsed = httpx2.URL(url)
        own = httpx2.URL(limits.own_origin) if limits.own_origin else None
    except (httpx2.InvalidURL, ValueError):
        raise MediaFailed(MediaFailureKind.HOST_REFUSED, "the file's address is none") from None
    is_own = own is not None and (parsed.scheme, parsed.host, parsed.port) == (own.scheme, own.host, own.port)
    allowed = parsed.scheme == "https" and parsed.port in (None, 443) and _among(parsed.host, limits.hosts)
    if parsed.userinfo or not (is_own or allowed):
        raise MediaFailed(MediaFailureKind.HOST_REFUSED, f"files are not taken from {parsed.host or 'there'}")
    return parsed


def _among(host: str, hosts: tuple[str, ...]) -> bool:
    return any(host == each or host.endswith(f".{each}") for each in hosts)


def check_announced(info: MediaInfo, limits: MediaLimits) -> None:
    """Raises MediaFailed for a type or size that is refused before anything is downloaded."""
    if mime_type(info.mime_type) not in ALLOWED_TYPES:
        raise MediaFailed(MediaFailureKind.TYPE_REFUSED, f"{mime_type(info.mime_type)[:100]} is not taken")
    if info.size is not None and info.size > limits.max_bytes:
        raise MediaFailed(MediaFailureKind.TOO_LARGE, f"{info.size} bytes; at most {limits.max_bytes} are taken")


async def fetch(
    http: httpx2.AsyncClient, info: MediaInfo, limits: MediaLimits, headers: Headers, *, redirects: int = 0
) -> MediaFile:
    """The file at `info.url`, checked. *headers* gives the login for an address. Raises MediaFailed.

    At most *redirects* are followed, and each address is checked before it is asked.
    """
    check_announced(info, limits)
    url = check_host(info.url, limits)
    try:
        async with asyncio.timeout(limits.seconds):
            for _ in range(redirects + 1):
                answer = await _get(http, url, limits, headers(str(url)))
                if isinstance(answer, bytes):
                    return _checked(answer, info)
                url = check_host(str(answer), limits)
    except (httpx2.HTTPError, SOCKSError, TimeoutError) as error:
        raise MediaFailed(MediaFailureKind.TRANSIENT, f"not downloaded: {type(error).__name__}") from None
    raise MediaFailed(MediaFailureKind.HOST_REFUSED, f"more than {redirects} redirects")


async def _get(
    http: httpx2.AsyncClient, url: httpx2.URL, limits: MediaLimits, headers: dict[str, str]
) -> bytes | httpx2.URL:
    """The bytes at *url*, or the address it redirects to."""
    request = http.build_request("GET", url, headers={**headers, "Accept-Encoding": "identity"})
    response = await http.send(request, stream=True, follow_redirects=False)
    try:
        if response.has_redirect_location:
            return url.join(response.headers["location"])
        _check_answer(response)
        return await capped.whole(response.aiter_raw(), limits.max_bytes)
    except capped.TooLarge as error:
        raise MediaFailed(MediaFailureKind.TOO_LARGE, str(error)) from None
    finally:
        await response.aclose()


def _check_answer(response: httpx2.Response) -> None:
    status = response.status_code
    if status in _EXPIRED:
        raise MediaFailed(MediaFailureKind.EXPIRED, f"HTTP {status}: the file or its address is no longer there")
    if status in (401, 403):
        raise MediaFailed(MediaFailureKind.OURS, f"HTTP {status}: the access token may not read the file")
    if status != 200:
        raise MediaFailed(MediaFailureKind.TRANSIENT, f"HTTP {status}")
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise MediaFailed(MediaFailureKind.TYPE_REFUSED, "the file came compressed, though that was not asked for")


def _checked(content: bytes, info: MediaInfo) -> MediaFile:
    digest = sha256(content).hexdigest()
    if info.sha256 is not None and not hmac.compare_digest(digest, info.sha256):
        raise MediaFailed(MediaFailureKind.WRONG_HASH, "the bytes are not those that were announced")
    kind = mime_type(info.mime_type)
    start = content[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not kind.startswith("text/") and start.startswith(_MARKUP):
        raise MediaFailed(MediaFailureKind.TYPE_REFUSED, f"the file says {kind} but holds markup")
    return MediaFile(mime_type=kind, sha256=digest, content=content)
