"""The simulator's HTTP side: the wrapper's endpoints that a client uses, and `/simulator/…` for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import FastAPI, HTTPException, Query, Response
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, Field
from starlette.types import ASGIApp, Receive, Scope, Send

from integrations.perplexity.simulator.answering import UNKNOWN_ACCOUNT, Answering
from integrations.perplexity.simulator.directives import DirectiveError, parse_directive
from integrations.perplexity.simulator.playing import SERVER, Plan
from integrations.perplexity.simulator.threads import Asking, Threads

REQUEST_LINE_BYTES = 16_384
"""uvicorn takes no more of a request's head that has not come whole (h11's default); here it is no matter of luck."""

_PAGE = """<!doctype html><title>SIMULATOR</title><h1>Perplexity wrapper SIMULATOR</h1>
<p>This is not Perplexity and no model: answers come from a script. Used while PERPLEXITY_BASE_URL is unset.</p>
<p><a href="/docs">Endpoints</a>
· <a href="/simulator/questions">Questions asked</a> · <a href="/api/threads">Threads</a></p>
"""
_SPACES = [
    {
        "title": "Simulated Space",
        "slug": "simulated-space",
        "uuid": "51a00000-0000-4000-8000-000000000001",
        "description": "SIMULATOR",
        "count": 0,
        "access_state": "private",
        "emoji": "",
    }
]
_ACCOUNTS = ("default", "acct-a")

Limit = Annotated[int, Query(ge=1, le=1_000)]
Offset = Annotated[int, Query(ge=0)]


class NextDirective(BaseModel):
    """A directive for the next question, whatever its text: the inside of `[[sim: …]]`. `times` queues it so often."""

    directive: str = Field(examples=["fail=cut after=0.5"])


class Pace(BaseModel):
    """1 is as recorded, 0 at once."""

    pace: float = Field(ge=0, le=100)


def create_app(state_folder: Path, pace: float = 1.0) -> FastAPI:
    """The simulator as an ASGI application; what it remembers is kept under *state_folder*."""
    threads = Threads(state_folder)
    answering = Answering(threads, pace)
    app = FastAPI(title="Perplexity wrapper SIMULATOR", description="No model: scripted answers in the real shapes.")
    app.add_middleware(RequestLineLimit)
    _add_pages(app)
    _add_queries(app, answering)
    _add_threads(app, threads)
    _add_accounts(app)
    _add_control(app, threads, answering)
    return app


class RequestLineLimit:
    """400 in plain text for a request line above REQUEST_LINE_BYTES; every response says who serves it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            length = len(scope["raw_path"]) + len(scope["query_string"]) + len("GET ? HTTP/1.1\r\n")
            if length > REQUEST_LINE_BYTES:
                response = Response("Invalid HTTP request received.", 400, {"server": SERVER}, "text/plain")
                return await response(scope, receive, send)
        return await self._app(scope, receive, send)


def _add_pages(app: FastAPI) -> None:
    @app.get("/", response_class=HTMLResponse)
    async def page() -> str:
        return _PAGE

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "healthy", "message": "SIMULATOR of the Perplexity wrapper is running"}


def _add_queries(app: FastAPI, answering: Answering) -> None:
    @app.get("/api/query_{way}", response_class=Response)
    async def query(
        way: Literal["sync", "async"],
        q: str,
        account_name: str,
        backend_uuid: str | None = None,
        frontend_context_uuid: str | None = None,
        collection_uuid: str | None = None,
        answer_only: bool = False,
        mode: str = "auto",
        model: str | None = None,
        sources: str = "web",
    ) -> Response:
        asking = Asking(q, account_name, way, answer_only, backend_uuid, frontend_context_uuid, collection_uuid)
        return _PlannedResponse(answering.answer(asking, mode=mode, model=model, sources=sources))


class _PlannedResponse(Response):
    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._plan = plan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._plan(scope, receive, send)


def _add_threads(app: FastAPI, threads: Threads) -> None:
    @app.get("/api/threads")
    async def listed(
        account_name: str = "default", limit: Limit = 20, offset: Offset = 0, search_term: str = ""
    ) -> dict[str, Any]:
        return _with_account(threads.listed(limit, offset, search_term), account_name)

    @app.get("/api/threads/{slug}", response_model=None)
    async def one(slug: str, account_name: str = "default") -> dict[str, Any] | JSONResponse:
        entries = threads.entries(slug)
        if entries is None:
            return _error("HTTP Error 404: Not Found", account_name)
        return {"status": "success", "entries": entries, "account_used": account_name}

    @app.get("/api/collections")
    async def spaces(account_name: str = "default", limit: Limit = 30, offset: Offset = 0) -> dict[str, Any]:
        return _with_account(_SPACES[offset : offset + limit], account_name)

    @app.get("/api/collections/{slug}", response_model=None)
    async def space(slug: str, account_name: str = "default") -> dict[str, Any] | JSONResponse:
        found = next((space for space in _SPACES if space["slug"] == slug), None)
        return {**found, "account_used": account_name} if found else _error("HTTP Error 404: Not Found", account_name)

    @app.get("/api/collections/{slug}/threads")
    async def threads_of_space(
        slug: str, account_name: str = "default", limit: Limit = 20, offset: Offset = 0
    ) -> dict[str, Any]:
        uuid = next((str(space["uuid"]) for space in _SPACES if space["slug"] == slug), "")
        return _with_account(threads.listed(limit, offset, collection=uuid), account_name)


def _add_accounts(app: FastAPI) -> None:
    @app.get("/api/account/list")
    async def accounts() -> dict[str, Any]:
        moment = "2026-01-01T00:00:00"
        fields = {"status": "active", "created_at": moment, "last_used": None, "last_validated": moment}
        return {"status": "success", "accounts": {name: {"name": name, **fields} for name in _ACCOUNTS}}

    @app.post("/api/account/test/{name}")
    async def test_account(name: str) -> dict[str, Any]:
        valid = not name.startswith(UNKNOWN_ACCOUNT)
        outcome = "valid" if valid else f"invalid: 404: Account '{name}' not found"
        return {"status": "success" if valid else "error", "message": f"Account '{name}' is {outcome}", "valid": valid}


def _add_control(app: FastAPI, threads: Threads, answering: Answering) -> None:
    @app.get("/simulator/questions")
    async def questions(thread: str | None = None) -> list[dict[str, Any]]:
        """Every question put, oldest first; `thread` is its `frontend_context_uuid`."""
        return threads.questions(thread)

    @app.delete("/simulator/questions", status_code=204)
    async def forget_questions() -> None:
        threads.forget_questions()

    @app.put("/simulator/next", status_code=204)
    async def put_next(body: NextDirective) -> None:
        try:
            directive = parse_directive(body.directive)
        except DirectiveError as error:
            raise HTTPException(422, str(error)) from error
        answering.queued.extend([directive] * (directive.times or 1))

    @app.delete("/simulator/next", status_code=204)
    async def forget_next() -> None:
        answering.queued.clear()

    @app.put("/simulator/pace", status_code=204)
    async def put_pace(body: Pace) -> None:
        answering.pace = body.pace


def _with_account(data: list[dict[str, Any]], account_name: str) -> dict[str, Any]:
    return {"data": data, "account_used": account_name}


def _error(text: str, account_name: str) -> JSONResponse:
    return JSONResponse({"error": text, "account_used": account_name}, status_code=500)
