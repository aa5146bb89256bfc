"""Downloads from a server that means us no good."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator

import httpx2
import pytest
from fastapi import FastAPI, Response
from fastapi.responses import RedirectResponse, StreamingResponse

from integrations.channels.failures import MediaFailed, MediaFailureKind
from integrations.whatsapp.files import MediaLimits, check_host, fetch
from integrations.whatsapp.port import MediaInfo
from tests.whatsapp_servers import serving

LIMITS = MediaLimits(max_bytes=100_000, seconds=20.0, hosts=("lookaside.fbsbx.com",), own_origin="http://127.0.0.1:7")


def evil_server() -> FastAPI:
    app = FastAPI()

    @app.get("/bomb")
    async def bomb() -> Response:
        return Response(gzip.compress(b"\0" * 10_000_000), headers={"Content-Encoding": "gzip"})

    @app.get("/unannounced")
    async def unannounced() -> StreamingResponse:
        async def zeros() -> AsyncIterator[bytes]:
            for _ in range(50):  # unannounced, and far beyond the limit
                yield b"\0" * 10_000

        return StreamingResponse(zeros())

    @app.get("/redirect")
    async def redirect() -> RedirectResponse:
        return RedirectResponse("http://169.254.169.254/latest/meta-data")

    @app.get("/circle")
    async def circle() -> RedirectResponse:
        return RedirectResponse("/circle")

    @app.get("/silence")
    async def silence() -> StreamingResponse:
        async def drops() -> AsyncIterator[bytes]:
            for _ in range(200):
                yield b"x"
                await asyncio.sleep(0.02)

        return StreamingResponse(drops())

    @app.get("/file")
    async def file() -> Response:
        return Response(b"pixels", media_type="image/png")

    @app.get("/moved")
    async def moved() -> RedirectResponse:
        return RedirectResponse("/file")

    @app.get("/{status}")
    async def answer(status: int) -> Response:
        return Response(status_code=status)

    return app


async def problem(path: str) -> MediaFailureKind:
    async with serving(evil_server()) as url, httpx2.AsyncClient() as http:
        info = MediaInfo(url=f"{url}{path}", mime_type="image/png")
        seconds = 1.0 if path == "/silence" else LIMITS.seconds  # a busy machine may need one for the others
        limits = LIMITS.model_copy(update={"own_origin": url, "seconds": seconds})
        with pytest.raises(MediaFailed) as failed:
            await fetch(http, info, limits, lambda _: {}, redirects=2)
        return failed.value.problem


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/bomb", MediaFailureKind.TYPE_REFUSED),
        ("/unannounced", MediaFailureKind.TOO_LARGE),
        ("/redirect", MediaFailureKind.HOST_REFUSED),
        ("/circle", MediaFailureKind.HOST_REFUSED),
        ("/silence", MediaFailureKind.TRANSIENT),
        ("/404", MediaFailureKind.EXPIRED),
        ("/410", MediaFailureKind.EXPIRED),
        ("/403", MediaFailureKind.OURS),
        ("/503", MediaFailureKind.TRANSIENT),
    ],
)
async def test_what_a_server_may_answer(path: str, expected: MediaFailureKind) -> None:
    assert await problem(path) is expected


async def test_a_redirect_within_the_channels_hosts_is_followed() -> None:
    async with serving(evil_server()) as url, httpx2.AsyncClient() as http:
        limits = LIMITS.model_copy(update={"own_origin": url})
        info = MediaInfo(url=f"{url}/moved", mime_type="image/png")

        file = await fetch(http, info, limits, lambda _: {}, redirects=1)

    assert file.content == b"pixels"


@pytest.mark.parametrize(
    "url",
    [
        "http://lookaside.fbsbx.com/x",
        "https://lookaside.fbsbx.com.evil.example/x",
        "https://evil-lookaside.fbsbx.com.example/x",
        "https://lookaside.fbsbx.com@evil.example/x",
        "https://user:pass@lookaside.fbsbx.com/x",
        "https://lookaside.fbsbx.com:8443/x",
        "https://127.0.0.1/x",
        "http://127.0.0.1:8/x",
        "http://[::1]:7/x",
        "http://0x7f000001:7/x",
        "file:///etc/passwd",
        "//lookaside.fbsbx.com/x",
        "https://",
        "not an address",
        "http://[::1",
    ],
)
def test_only_the_channels_hosts_are_asked(url: str) -> None:
    with pytest.raises(MediaFailed) as failed:
        check_host(url, LIMITS)

    assert failed.value.problem is MediaFailureKind.HOST_REFUSED


@pytest.mark.parametrize(
    "url", ["https://lookaside.fbsbx.com/x?ext=1", "https://a.lookaside.fbsbx.com/x", "http://127.0.0.1:7/media/1"]
)
def test_the_channels_own_hosts_are(url: str) -> None:
    assert str(check_host(url, LIMITS)) == url
