"""Every error leaves as `application/problem+json` (RFC 9457): a stable type, what to do, and the request's id."""

from __future__ import annotations

from enum import StrEnum
from http import HTTPStatus
from typing import Any

from asgi_correlation_id import correlation_id
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from api.matching import methods_at
from api.message_ids import in_header
from config.logs import get_logger
from config.refusals import in_our_words
from integrations.temporal.conversations import ConversationStopped, GaveUp, StillWaiting, TemporalUnavailable
from storage.database import StorageUnavailable
from storage.sessions import Ambiguous

log = get_logger(__name__)

PROBLEM = "application/problem+json"
RETRY_SECONDS = 2
"""What `Retry-After` says while something is unavailable."""
MOST_ERRORS = 50
"""So many wrong places are told of one call."""
_OF_OTHER_CALLS: dict[type[Exception], str] = {
    StorageUnavailable: "The database is unavailable. Repeat the call once it is back.",
    TemporalUnavailable: (
        "Temporal is unavailable, so this could not be carried out now; what it took just before may still come. "
        "See where the conversation stands, and repeat the call."
    ),
    GaveUp: "The conversation could not do this just now; it may still come. See where it stands, and repeat the call.",
    ConversationStopped: "An operator stopped the conversation just then, so this was not done. Repeat the call.",
    StillWaiting: "The conversation is busy; the change may still come. See where it stands, and repeat the call.",
}
_TYPES = {
    400: "malformed-request",
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    408: "request-too-slow",
    409: "conflict",
    413: "too-large",
    415: "unsupported-media-type",
    422: "invalid-request",
    429: "too-many-requests",
    500: "internal-error",
    503: "unavailable",
}


SOME_OF_THE_INPUT = "Some of the input is not valid; see errors."
NO_CALL = "There is no call at this address; /docs lists all calls."


class Taken(StrEnum):
    """What is known of a call's message: nothing ──store──▶ perhaps ──▶ kept."""

    NOTHING = "nothing"  #: it was not handed to the database
    PERHAPS = "perhaps"  #: it was, and whether it is stored has not been said
    KEPT = "kept"  #: it is stored, and will be answered


_OF_THE_DATABASE = {
    Taken.NOTHING: (
        "The database is unavailable, so nothing was stored. Send it again under the message_id that stands here."
    ),
    Taken.PERHAPS: (
        "The database is unavailable, and did not say whether your message is kept. "
        "Send the same message_id again: it is answered once."
    ),
    Taken.KEPT: (
        "Your message is kept, but the database is unavailable just now, so its answer cannot be read. "
        "Send the same message_id again."
    ),
}


class Problem(BaseModel):
    """An error. `errors` tells, for invalid input, each wrong place and why; `message_id` the name under which to send
    a message again, made up where its caller gave none."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str | None = None
    message_id: str | None = None
    errors: list[dict[str, str]] | None = Field(default=None)


class ProblemError(Exception):
    """Raise this anywhere below a route; *headers* as `Retry-After` go out with it."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        headers: dict[str, str] | None = None,
        errors: list[dict[str, str]] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        self.errors = errors


def problem(
    status: int, detail: str, errors: list[dict[str, str]] | None = None, message_id: str | None = None
) -> Problem:
    kind = _TYPES.get(status, "error")
    return Problem(
        type=f"urn:perplexity-agent:problem:{kind}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        request_id=correlation_id.get(),
        message_id=message_id,
        errors=errors,
    )


def problem_response(
    status: int,
    detail: str,
    *,
    headers: dict[str, str] | None = None,
    errors: list[dict[str, str]] | None = None,
    message_id: str | None = None,
) -> JSONResponse:
    body = problem(status, detail, errors, message_id).model_dump(exclude_none=True)
    return JSONResponse(body, status, headers, media_type=PROBLEM)


def unavailable(error: Exception, taken: Taken | None) -> ProblemError:
    """What a caller is told while something the system needs is unavailable; what was stored stays stored.

    *taken*: what is known of the message that the call brought, to be sent again under its id; None: it brought none.
    """
    details: dict[type[Exception], str] = {
        StorageUnavailable: _OF_THE_DATABASE[taken or Taken.NOTHING],
        TemporalUnavailable: "Your message is kept but cannot be answered just now. Send the same message_id again.",
        StillWaiting: "Your message is kept and still being answered. Send the same message_id again.",
    }
    if taken is None:
        details = _OF_OTHER_CALLS
    detail = next(details[kind] for kind in type(error).__mro__ if kind in details)
    return ProblemError(503, detail, headers={"Retry-After": str(RETRY_SECONDS)})


def add_problem_handlers(app: FastAPI) -> None:
    """Turns every exception a route can raise into a problem."""

    @app.exception_handler(ProblemError)
    async def on_problem(request: Request, error: ProblemError) -> JSONResponse:
        return problem_response(
            error.status, error.detail, headers=error.headers, errors=error.errors, message_id=named_message(request)
        )

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers) if error.headers else {}
        if error.status_code == 405:
            headers["Allow"] = ", ".join(methods_at(request.scope))
        return problem_response(error.status_code, _in_our_words(error, headers), headers=headers)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        errors = [{"path": _pointer(each["loc"]), "message": in_our_words(each["msg"])} for each in error.errors()]
        return problem_response(422, SOME_OF_THE_INPUT, errors=errors[:MOST_ERRORS])

    @app.exception_handler(Ambiguous)
    async def on_ambiguous(_request: Request, error: Ambiguous) -> JSONResponse:
        return problem_response(409, f"{error}. Use a name that only one of them has.")

    for away in (StorageUnavailable, TemporalUnavailable, ConversationStopped, StillWaiting):
        app.add_exception_handler(away, _on_unavailable)
    app.add_exception_handler(Exception, _on_unexpected)


def _in_our_words(error: HTTPException, headers: dict[str, str]) -> str:
    """What a route says of itself stands; an address without a route says what to do."""
    if error.detail != HTTPStatus(error.status_code).phrase:
        return str(error.detail)
    words = {404: NO_CALL, 405: f"This address takes {headers.get('Allow')} only."}
    return words.get(error.status_code, str(error.detail))


def name_message(request: Request, message_id: str) -> None:
    """Every answer to *request* names its message from here on."""
    request.state.message_id = message_id


def named_message(request: Request) -> str | None:
    message_id: str | None = getattr(request.state, "message_id", None)
    return message_id


def note_taken(request: Request, taken: Taken) -> None:
    """What a problem says of the message of *request* from here on."""
    request.state.taken = taken


def _taken(request: Request) -> Taken | None:
    if named_message(request) is None:
        return None
    known: Taken = getattr(request.state, "taken", Taken.NOTHING)
    return known


async def _on_unavailable(request: Request, error: Exception) -> JSONResponse:
    log.warning("unavailable", what=type(error).__name__, why=str(error))
    told = unavailable(error, _taken(request))
    return problem_response(told.status, told.detail, headers=told.headers, message_id=named_message(request))


async def _on_unexpected(request: Request, error: Exception) -> JSONResponse:
    """Sent by the outermost of all, so what the middleware adds to other answers is added here."""
    log.error("unexpected", exc_info=error)
    detail = "That should not have happened. Please report it with the request_id."
    named = named_message(request)
    told = {"X-Request-ID": correlation_id.get(), "Message-Id": in_header(named) if named else None}
    headers = {name: value for name, value in told.items() if value}
    return problem_response(500, detail, headers=headers, message_id=named)


def _pointer(location: tuple[Any, ...]) -> str:
    return "/" + "/".join(str(part) for part in location)


def problem_docs(*statuses: int, **of_each: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    """For OpenAPI: which problems a call may answer with; *of_each* stands in every one, as `headers`."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {PROBLEM: {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}},
            **of_each,
        }
        for status in statuses
    }
