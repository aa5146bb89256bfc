"""The FastAPI application: middleware, problems, routes. `create_app` takes everything it needs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from asgi_correlation_id import CorrelationIdMiddleware
from fastapi import APIRouter, Depends, FastAPI
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from api.authentication import admit, describe_access
from api.bodies import BodyGuard
from api.description import describe
from api.doubled import DoubledGuard
from api.message_ids import MessageIdHeader
from api.origins import AllowedOrigins
from api.paths import PathGuard
from api.problems import add_problem_handlers
from api.request_log import RequestLog
from api.routes import actions, deliveries, docs, effects, health, leftovers, messages, sessions, webhooks
from api.routes.root import root
from api.services import Services
from api.stopping import StoppingGuard

DESCRIPTION = """
Durable customer conversations: Perplexity answers, Temporal remembers, humans take over.

Every call under `/api/` needs `Authorization: Bearer <key>`, and its key the scope that stands at the call. Errors are
`application/problem+json`.

```bash
curl -s localhost:8000/api/message -H "Authorization: Bearer $API_KEY" -H "Content-Type: application/json" \\
     -d '{"customer_id": "c-1", "message_id": "m-1", "text": "Do you deliver to Penang?"}'
curl -sN localhost:8000/api/query_async -H "Authorization: Bearer $API_KEY" -H "Content-Type: application/json" \\
     -d '{"customer_id": "c-1", "message_id": "m-2", "text": "How long does it take?"}'
```
"""


_WEBHOOKS = ("/api/webhooks/",)


def create_app(services: Services, pages: Sequence[APIRouter] = ()) -> FastAPI:
    """The whole API over *services*, with *pages* for people; the caller closes what services were made of."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        services.notifications.start()
        yield
        await services.notifications.close()
        await services.signals.close()

    app = FastAPI(
        title="Perplexity Agent",
        version="0.1.0",
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # ours is closed to strangers
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,  # to an address that a proxy's clients cannot use; `api/paths.py` reads it without
    )
    docs.add_docs_files(app)
    app.state.services = services
    app.state.database = services.database
    app.state.cookies = services.cookies
    add_problem_handlers(app)
    app.include_router(messages.router)  # these calls are admitted once their message could be read
    for routes in (
        sessions.router,
        actions.router,
        effects.router,
        deliveries.router,
        leftovers.router,
        webhooks.router,
        health.router,
        docs.router,
        root(pages),
        *pages,
    ):
        app.include_router(routes, dependencies=[Depends(admit)])
    describe(app)
    describe_access(app)
    settings = services.settings
    app.add_middleware(
        BodyGuard,
        max_bytes=settings.request_body_bytes,
        seconds=settings.request_body_seconds,
        exempt=_WEBHOOKS,
        judged={"/api/actions/simulate": actions.JUDGED},
    )
    app.add_middleware(DoubledGuard, exempt=_WEBHOOKS)
    app.add_middleware(PathGuard)
    app.add_middleware(StoppingGuard, stopping=services.stopping)
    app.add_middleware(MessageIdHeader)
    app.add_middleware(AllowedOrigins, origins=settings.allowed_origins or ())
    app.add_middleware(RequestLog)
    app.add_middleware(CorrelationIdMiddleware, header_name="X-Request-ID", validator=_is_request_id)
    if settings.trusted_proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(settings.trusted_proxies))
    return app


def _is_request_id(value: str) -> bool:
    """A caller's own request id is taken over if it is harmless in logs."""
    return 8 <= len(value) <= 100 and value.isascii() and value.replace("-", "").replace("_", "").isalnum()
