"""`/healthz` (the process is up), `/readyz` (it can work), `/metrics` (Prometheus)."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from pydantic import BaseModel

from api.services import Services, Serving
from config import metrics
from storage.database import StorageUnavailable
from storage.migrate import is_current

router = APIRouter(tags=["operations"])


class Readiness(BaseModel):
    """Each part: whether it can be worked with now."""

    ready: bool
    postgresql: bool
    migrations: bool
    temporal: bool


@router.get("/healthz", summary="The process is up")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


@router.get(
    "/readyz", summary="PostgreSQL, its migrations and Temporal are there", responses={503: {"model": Readiness}}
)
async def readyz(services: Serving) -> Response:
    (postgresql, migrations), temporal = await asyncio.gather(_database(services), services.conversations.healthy())
    ready = Readiness(
        ready=postgresql and migrations and temporal, postgresql=postgresql, migrations=migrations, temporal=temporal
    )
    return JSONResponse(ready.model_dump(), 200 if ready.ready else 503)


@router.get("/metrics", summary="Prometheus metrics of all processes on this machine", response_class=Response)
async def show_metrics(services: Serving) -> Response:
    try:
        waiting = float(await services.waiting.count())
    except StorageUnavailable:
        waiting = float("nan")
    return Response(metrics.exposition(waiting), media_type=CONTENT_TYPE_LATEST)


async def _database(services: Services) -> tuple[bool, bool]:
    """Whether PostgreSQL answers, and whether its schema is the one this code expects."""
    try:
        return True, await is_current(services.database)
    except StorageUnavailable:
        return False, False
