"""`/playground`: talk to the bot as a customer would, and see what happened: state, thread ids, raw output.

The page calls the public HTTP API with the visitor's own key (from the address' fragment, which no server sees), so
it can do nothing that the key may not.
"""

from __future__ import annotations

from pathlib import Path

import httpx2
from fastapi import APIRouter, HTTPException
from fastapi.responses import FileResponse
from pydantic import BaseModel

from config.hosts import through_proxies
from config.kept_value import KeptValue
from config.settings import Settings
from dashboard.headers import PAGE_HEADERS

_STATIC = Path(__file__).parent / "static"
_FILES = {"playground.js": "text/javascript", "playground.css": "text/css", "markup.js": "text/javascript"}
_HEALTH_SECONDS = 2.0


class About(BaseModel):
    """What the page says of its surroundings. `simulator`: a script answers, no model."""

    simulator: bool
    temporal_ui: str


def playground(settings: Settings) -> APIRouter:
    """The page and its files."""
    router = APIRouter(include_in_schema=False)

    @router.get("/playground")
    async def page() -> FileResponse:
        return FileResponse(_STATIC / "playground.html", headers=PAGE_HEADERS)

    simulated = KeptValue(lambda: _is_simulator(settings), settings.playground_about_seconds)
    temporal_ui = f"http://127.0.0.1:{settings.temporal_ui_port}/namespaces/{settings.temporal_namespace}/workflows/"

    @router.get("/playground/about")
    async def about() -> About:
        return About(simulator=await simulated.now(), temporal_ui=temporal_ui)

    @router.get("/playground/{name}")
    async def file(name: str) -> FileResponse:
        if name not in _FILES:
            raise HTTPException(404, "There is no such file.")
        return FileResponse(_STATIC / name, media_type=_FILES[name], headers=PAGE_HEADERS)

    return router


async def _is_simulator(settings: Settings) -> bool:
    """Asks the wrapper who it is; one that does not answer is taken for a real one. A client costs a processor 30 ms,
    so not for each who looks."""
    if not settings.perplexity_base_url:
        return False
    url = settings.perplexity_base_url
    try:
        async with httpx2.AsyncClient(timeout=_HEALTH_SECONDS, trust_env=through_proxies(url)) as client:
            return "SIMULATOR" in (await client.get(f"{url}/health")).text
    except httpx2.HTTPError:
        return False
