"""`POST /api/message` and `POST /api/query_async`: store, wake, answer; at once or as it is written."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated
from uuid import uuid4

from asgi_correlation_id import correlation_id
from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BeforeValidator

from api.authentication import Admitted, Credentials, admit
from api.message_ids import MESSAGE_ID_DOCS
from api.open_streams import TooManyStreams
from api.problems import RETRY_SECONDS, ProblemError, Taken, name_message, note_taken, problem_docs
from api.services import Services, Serving
from api.streaming import Following, follow
from config import metrics
from config.settings import Settings
from schemas.messages import CustomerIdentity, IncomingMessage, RateLimit, StoredMessage, limit_key
from schemas.requests import MessageId, MessageRequest
from schemas.turns import Turn
from storage.database import StorageUnavailable
from storage.inbox import OverLimit

router = APIRouter(prefix="/api", tags=["messages"])


_PROBLEMS = problem_docs(400, 401, 403, 413, 415) | problem_docs(409, 422, 429, 503, headers=MESSAGE_ID_DOCS)
"""The latter of a message that could be read: they name it."""


def _as_in_a_body(value: object) -> object:
    """A header's bytes are UTF-8, as a body's are: one id is spelt in one way."""
    try:
        return value.encode("latin-1").decode() if isinstance(value, str) else value
    except UnicodeError:
        return value


IdempotencyKey = Annotated[
    MessageId | None, BeforeValidator(_as_in_a_body), Header(description="Stands for `message_id`")
]


@dataclass(frozen=True)
class Posted:
    """A message that could be read. Without an id, it came with two; *is_named*: its caller gave the id."""

    body: MessageRequest
    message_id: str | None
    is_named: bool = True


async def read(request: Request, body: MessageRequest, idempotency_key: IdempotencyKey = None) -> Posted:
    """Comes before whoever sends is known, so nothing of it is told here."""
    names = {name for name in (body.message_id, idempotency_key) if name}
    posted = Posted(body, None if len(names) > 1 else next(iter(names), None) or str(uuid4()), bool(names))
    request.state.posted = posted
    return posted


async def sender(request: Request, services: Serving, credentials: Credentials) -> Admitted:
    """As `admit`. Where the database cannot say who calls, the message is named: it is to be sent again."""
    try:
        return await admit(request, services, credentials)
    except StorageUnavailable:
        posted: Posted | None = getattr(request.state, "posted", None)
        if posted and posted.message_id:
            name_message(request, posted.message_id)
        raise


async def _store(request: Request, posted: Posted, services: Services, *, wants_stream: bool) -> StoredMessage:
    """Into the inbox, or what is known of it. Raises 409 for an id that came with another text."""
    body, message_id = posted.body, posted.message_id
    if message_id is None:
        raise ProblemError(422, "message_id and Idempotency-Key differ; send one of them.")
    name_message(request, message_id)
    if len(body.text) > services.settings.message_max_characters:
        raise ProblemError(422, f"text may have at most {services.settings.message_max_characters} characters.")
    if body.assistant != "default" and body.assistant not in await services.configurations.names():
        raise ProblemError(422, f"There is no assistant {body.assistant!r}.")
    incoming = IncomingMessage(
        channel=body.channel,
        assistant=body.assistant,
        identities=[CustomerIdentity(kind="customer_id", value=body.customer_id)],
        id_scope=body.customer_id,
        channel_message_id=message_id,
        text=body.text,
        wants_stream=wants_stream,
        request_id=correlation_id.get(),
        limits=_limits(body, services.settings),
    )
    note_taken(request, Taken.PERHAPS)
    try:
        stored = await services.inbox.store(incoming)
    except OverLimit as over:
        metrics.MESSAGES.labels(body.channel, "over limit").inc()
        wait = {"Retry-After": str(math.ceil(over.wait_seconds))}
        raise ProblemError(429, "Too many messages; nothing was stored. Send it again later.", headers=wait) from None
    note_taken(request, Taken.KEPT)
    metrics.MESSAGES.labels(body.channel, "new" if stored.is_new else "repeated").inc()
    if not stored.same_content:
        raise ProblemError(409, "This message_id came before with another text. Use a new one for a new message.")
    return stored


def _limits(body: MessageRequest, settings: Settings) -> list[RateLimit]:
    """Each customer by itself; together they wait for room at the account."""
    return [
        RateLimit(
            key=limit_key("customer", body.channel, body.customer_id),
            per_minute=settings.customer_messages_per_minute,
            burst=settings.customer_messages_burst,
        ),
    ]


_NAMELESS = (
    "Last-Event-ID resumes the stream of a message: send that message's message_id too (the stream's first event and "
    "its header Message-Id tell it). For a new message leave Last-Event-ID out. Nothing was stored."
)
LastEventId = Annotated[
    str | None, Header(description="Resume after this event; the message's `message_id` is then needed")
]
Read = Annotated[Posted, Depends(read)]
"""Before `Sender`: a message that cannot be checked now is named, if it could be read."""
Sender = Annotated[Admitted, Depends(sender)]


async def store_for_answer(request: Request, posted: Read, _: Sender, services: Serving) -> StoredMessage:
    return await _store(request, posted, services, wants_stream=False)


async def stream_place(request: Request, services: Serving) -> AsyncIterator[None]:
    """Held until the stream has ended; after `read`. Raises 503 where none is left: nothing is stored then."""
    try:
        with services.open_streams.place():
            yield
    except TooManyStreams:
        posted: Posted = request.state.posted
        if posted.message_id:
            name_message(request, posted.message_id)
        told = "Too many streams are open, and nothing was stored. Send it again under the message_id that stands here."
        raise ProblemError(503, told, headers={"Retry-After": str(RETRY_SECONDS)}) from None


async def store_for_stream(
    request: Request,
    posted: Read,
    _: Sender,
    _place: Annotated[None, Depends(stream_place)],
    services: Serving,
    last_event_id: LastEventId = None,
) -> StoredMessage:
    """Raises 422 for a stream that is asked for again without its message's name: it would be another question."""
    if last_event_id and not posted.is_named:
        raise ProblemError(422, _NAMELESS)
    return await _store(request, posted, services, wants_stream=True)


@router.post(
    "/message",
    summary="Send a message, wait for its answer",
    responses={
        200: {"headers": MESSAGE_ID_DOCS},
        202: {
            "model": Turn,
            "description": "A human has the conversation; the message is kept and passed on",
            "headers": MESSAGE_ID_DOCS,
        },
        **_PROBLEMS,
    },
)
async def message(
    stored: Annotated[StoredMessage, Depends(store_for_answer)], services: Serving, request: Request, response: Response
) -> Turn:
    """Answers once the model has. Send the same `message_id` again, at once or a day later, and you get the same
    answer: the model is asked once. Messages of one customer are answered in the order they came."""
    turn = await services.answers.given(await services.answers.to(stored), request.is_disconnected)
    if turn.reply is None:
        response.status_code = 202
    return turn


@router.post(
    "/query_async",
    summary="Send a message, read the answer as it is written",
    response_class=EventSourceResponse,
    responses={200: {"headers": MESSAGE_ID_DOCS}, **_PROBLEMS},
)
async def query_async(
    stored: Annotated[StoredMessage, Depends(store_for_stream)],
    services: Serving,
    request: Request,
    last_event_id: LastEventId = None,
) -> AsyncIterator[ServerSentEvent]:
    """Events: first `accepted` `{message_id}`, then `chunk` `{text}` (append), `reset` `{}` (drop what was shown),
    `done` (the Turn; its reply is the text that counts), `error` (the problem). What was shown and is not the answer is
    reset before `done`. A lost connection does not stop the answer: send the same `message_id` with `Last-Event-ID`
    and go on after that event; the id of another answer's event counts as none."""
    following = Following(stored, last_event_id, request.is_disconnected)
    async for event in follow(services, following):
        yield event
