"""`/phone`: a WhatsApp phone to try the system with, without any account. Only under `make run`, never in production.

The page talks to its own origin; what it does is passed on to the stand-in of the Graph API, which signs webhooks as
Meta does and shows what our sending code posts. Without WHATSAPP_STANDIN_URL none of these addresses exists.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx2
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import FileResponse

from config.settings import Settings
from dashboard.headers import PAGE_HEADERS

_STATIC = Path(__file__).parent / "static"
_FILES = {"phone.js": "text/javascript", "phone.css": "text/css", "markup.js": "text/javascript"}
_PASSED_ON = {("GET", "messages"), ("POST", "send"), ("GET", "switches"), ("PUT", "switches")}
_SECONDS = 10.0
_BODY_BYTES = 1_048_576


def phone(settings: Settings) -> APIRouter:
    """The page, its files and its calls; nothing at all where there is no stand-in."""
    router = APIRouter(prefix="/phone", include_in_schema=False)
    if not _is_on(settings):
        return router
    standin = _Standin(settings)

    @router.get("")
    async def page() -> FileResponse:
        return FileResponse(_STATIC / "phone.html", headers=PAGE_HEADERS)

    @router.post("/api/files")
    async def upload(request: Request) -> dict[str, Any]:
        _refuse_other_sites(request)
        kind = request.headers.get("content-type", "application/octet-stream")
        return await standin.upload(await _body(request, settings.media_bytes), kind)

    @router.api_route("/api/{name}", methods=["GET", "POST", "PUT"])
    async def call(request: Request, name: str) -> Response:
        _refuse_other_sites(request)
        if (request.method, name) not in _PASSED_ON:
            raise HTTPException(404, "There is no such call.")
        return await standin.pass_on(request.method, name, request.url.query, await _body(request, _BODY_BYTES))

    @router.get("/{name}")
    async def file(name: str) -> FileResponse:
        if name not in _FILES:
            raise HTTPException(404, "There is no such file.")
        return FileResponse(_STATIC / name, media_type=_FILES[name], headers=PAGE_HEADERS)

    return router


def _is_on(settings: Settings) -> bool:
    """Only where the stand-in really stands in: a real account's token must never go to it."""
    standin = settings.whatsapp_standin_url
    return standin is not None and standin == settings.whatsapp_graph_url and settings.whatsapp_phone is not False


class _Standin:
    """Calls of the stand-in's own side (`/standin/…`), and its media upload."""

    def __init__(self, settings: Settings) -> None:
        assert settings.whatsapp_standin_url
        token = settings.whatsapp_access_token
        self._url = settings.whatsapp_standin_url
        self._account = settings.whatsapp_phone_number_id or ""
        self._version = settings.whatsapp_graph_version
        self._headers = {"Authorization": f"Bearer {token.get_secret_value() if token else ''}"}

    async def pass_on(self, method: str, name: str, query: str, body: bytes) -> Response:
        url = f"{self._url}/standin/{name}?{query}"
        answer = await self._call(method, url, content=body, headers={"Content-Type": "application/json"})
        return Response(answer.content, answer.status_code, PAGE_HEADERS, media_type="application/json")

    async def upload(self, content: bytes, kind: str) -> dict[str, Any]:
        """The id under which the file can be sent, as the Graph API gives it, and its hash."""
        url = f"{self._url}/{self._version}/{self._account}/media"
        answer = await self._call(
            "POST", url, files={"file": ("file", content, kind)}, data={"type": kind}, headers=self._headers
        )
        if answer.status_code != 200:
            raise HTTPException(502, "The stand-in did not take the file.")
        return {"id": answer.json()["id"], "sha256": sha256(content).hexdigest()}

    async def _call(self, method: str, url: str, **values: Any) -> httpx2.Response:
        try:
            async with httpx2.AsyncClient(timeout=_SECONDS, trust_env=False) as client:
                return await client.request(method, url, **values)
        except httpx2.HTTPError as error:
            raise HTTPException(502, f"The stand-in does not answer: {type(error).__name__}.") from None


def _refuse_other_sites(request: Request) -> None:
    """Another site's page may not write on this phone."""
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise HTTPException(403, "Only this page may do that.")


async def _body(request: Request, most: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise HTTPException(413, f"At most {most} bytes.")
    return bytes(body)
