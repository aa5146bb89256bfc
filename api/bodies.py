"""Guards the API's JSON bodies before anything is made of them: size, pace, encoding, depth, keys that are there twice.

Runs as ASGI middleware, so a body that is too large is refused while it arrives, not after.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.matching import is_a_call
from api.problems import MOST_ERRORS, SOME_OF_THE_INPUT, ProblemError, problem_response

MAX_DEPTH = 32
MAX_DIGITS = 1_000
"""Of a whole number; Python itself reads no more than 4,300."""
_SHOWN_CHARACTERS = 100
"""Of a key that is there twice."""
_BYTE_ORDER_MARK = "\ufeff"


class BodyGuard:
    """Reads the body of a call under `/api/`, checks it, and passes it on whole. Who is *exempt* checks its own.

    *judged*: by path, the fields whose keys are counted later, for they are judged as somebody wrote them.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_bytes: int,
        seconds: float,
        exempt: tuple[str, ...] = (),
        judged: Mapping[str, Collection[str]],
    ) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._exempt = exempt
        self._judged = judged

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._guards(scope):
            await self._app(scope, receive, send)
            return
        try:
            _check_type(scope)
            body = await read_body(scope, receive, self._max_bytes, self._seconds)
            _check(body, self._judged.get(scope["path"], ()))
        except ProblemError as error:
            # The rest of the body is not wanted, so the connection ends with the answer.
            headers = {"Connection": "close"} if error.status in {408, 413} else {}
            await problem_response(error.status, error.detail, headers=headers, errors=error.errors)(
                scope, receive, send
            )
        else:
            await self._app(scope, _replay(body, receive), send)

    def _guards(self, scope: Scope) -> bool:
        if scope["type"] != "http" or scope["method"] not in {"POST", "PUT", "PATCH"}:
            return False
        if _is_bare(scope):
            return False
        path: str = scope["path"]
        return path.startswith("/api/") and not path.startswith(self._exempt) and is_a_call(scope)


async def read_body(scope: Scope, receive: Receive, max_bytes: int, seconds: float) -> bytes:
    """The whole body. Raises ProblemError for one that is too large or too slow, as soon as that is certain."""
    try:
        async with asyncio.timeout(seconds):
            return await _read(scope, receive, max_bytes)
    except TimeoutError:
        raise ProblemError(408, f"The body must arrive within {seconds:g} seconds.") from None


async def _read(scope: Scope, receive: Receive, max_bytes: int) -> bytes:
    too_large = ProblemError(413, f"The body may have at most {max_bytes} bytes.")
    announced = _header(scope, b"content-length")
    if announced.isdigit() and int(announced) > max_bytes:
        raise too_large
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ProblemError(400, "The body ended early.")
        body += message.get("body", b"")
        if len(body) > max_bytes:
            raise too_large
        if not message.get("more_body"):
            return bytes(body)


def _check_type(scope: Scope) -> None:
    if _header(scope, b"content-type").split(b";")[0].strip().lower() != b"application/json":
        raise ProblemError(415, "Send JSON with Content-Type: application/json.")


def _is_bare(scope: Scope) -> bool:
    """A call that brings nothing and says so: some say all in their address."""
    length, encoding = _header(scope, b"content-length"), _header(scope, b"transfer-encoding")
    return not encoding and (length == b"0" or (not length and not _header(scope, b"content-type")))


def _header(scope: Scope, name: bytes) -> bytes:
    return next((bytes(value) for key, value in scope["headers"] if key.lower() == name), b"")


def _check(body: bytes, judged: Collection[str]) -> None:
    """Raises ProblemError unless *body* is JSON that can be worked with, in which no key but *judged* comes twice."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise ProblemError(400, "The body is not UTF-8.") from None
    if not text.strip(_BYTE_ORDER_MARK).strip():
        raise ProblemError(422, "The body is empty; send a JSON object.")
    if text.startswith(_BYTE_ORDER_MARK):
        raise ProblemError(400, "The body begins with a byte order mark; send JSON without one.")
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_int=_whole, object_pairs_hook=_object)
    except RecursionError:
        raise ProblemError(400, f"The JSON is nested deeper than {MAX_DEPTH}.") from None
    except ValueError as error:
        raise ProblemError(400, f"The body is not JSON: {str(error)[:200]}.") from None
    if _depth_exceeds(value, MAX_DEPTH):
        raise ProblemError(400, f"The JSON is nested deeper than {MAX_DEPTH}.")
    places = _doubled(value, "/body", judged) if isinstance(value, dict | list) else ()
    errors = [{"path": path, "message": "the key is there twice"} for path in places]
    if errors:
        raise ProblemError(422, SOME_OF_THE_INPUT, errors=errors[:MOST_ERRORS])


class _Object(dict[str, Any]):
    """An object, and which of its keys it has twice."""

    twice: tuple[str, ...] = ()


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    found = _Object(pairs)
    if len(found) < len(pairs):
        found.twice = tuple(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
    return found


def _doubled(value: Any, path: str, judged: Collection[str] = ()) -> Iterator[str]:
    """Where in *value* a key is there twice; its fields called one of *judged* are not looked at."""
    if isinstance(value, _Object):
        yield from (f"{path}/{_shown(name)}" for name in value.twice if name not in judged)
    for name, child in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(child, dict | list) and name not in judged:
            yield from _doubled(child, f"{path}/{_shown(name)}")


def _shown(name: object) -> str:
    """A key as it may be told: UTF-8 has no lone surrogates."""
    return str(name)[:_SHOWN_CHARACTERS].encode(errors="replace").decode()


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _whole(digits: str) -> int:
    if len(digits.lstrip("-")) > MAX_DIGITS:
        raise ProblemError(400, f"A number in the body has {len(digits)} digits; it may have at most {MAX_DIGITS}.")
    return int(digits)


def _depth_exceeds(value: Any, limit: int) -> bool:
    """Whether arrays and objects stand in each other more than *limit* deep."""
    level = [value]
    for _ in range(limit):
        level = [
            child
            for each in level
            if isinstance(each, dict | list)
            for child in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return any(isinstance(each, dict | list) for each in level)


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
