"""`/healthz` (the process is up), `/readyz` (it can work), `/metrics` (Prometheus)."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from api.authentication import Inside
from api.readiness import Readiness
from api.services import Serving
from config import metrics
from storage.database import StorageUnavailable

router = APIRouter(tags=["operations"])


@router.get("/healthz", summary="The process is up")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


@router.get(
    "/readyz", summary="Whether it can work now", response_model=Readiness, responses={503: {"model": Readiness}}
)
async def readyz(
    services: Serving,
    inside: Inside,
    purpose: Annotated[
        Literal["all", "store", "answer"],
        Query(alias="for", description="What must be possible for a 200; the body is the same"),
    ] = "all",
) -> Response:
    """200 while PostgreSQL can be written to, its migrations are done and Temporal answers. `?for=store` asks for less,
    for the route of webhooks: a message could be stored. `?for=answer` asks for more: a turn could be answered. Where
    strangers may reach us they are told the status alone, `{"status": "ok"}` or `{"status": "unavailable"}`; all of it
    stands for whoever has a key or METRICS_TOKEN, or is signed in."""
    found = await services.readiness.now()
    good = {"all": found.ready, "store": found.can_store, "answer": found.can_answer}[purpose]
    shown = found.model_dump() if inside else {"status": "ok" if good else "unavailable"}
    return JSONResponse(shown, 200 if good else 503)


@router.get("/metrics", summary="Prometheus metrics", response_class=Response)
async def show_metrics(services: Serving) -> Response:
    """Of this process: messages that came in, webhooks, wake-ups; and how many messages wait. A worker's own (turns,
    actions, deliveries) are on its WORKER_COUNTERS_PORT. Under `make run`, all of them are here. Where strangers may
    reach us it needs METRICS_TOKEN, any key, or somebody who is signed in."""
    try:
        waiting = float(await services.waiting_now.now())
    except StorageUnavailable:
        waiting = float("nan")
    return Response(metrics.exposition(waiting), media_type=CONTENT_TYPE_LATEST)
