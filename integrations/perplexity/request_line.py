"""A `ModelPrompt` → the request's path and query, and how much room its line has left."""

from __future__ import annotations

from typing import Literal
from urllib.parse import quote_plus, urlencode

from integrations.perplexity.port import AskFailed, ModelPrompt
from schemas.failures import ModelFailureKind

Way = Literal["async", "sync"]

_AROUND_TARGET = len("GET  HTTP/1.1\r\n")


def target_of(prompt: ModelPrompt, way: Way, *, answer_only: bool = False, path_prefix: str = "") -> str:
    """Path and query, percent-encoded: `/api/query_async?q=…`.

    Everything goes into the query string: the wrapper takes prompts by GET only. Half a surrogate pair, which has
    no UTF-8, becomes `?`.
    """
    fields = {
        "q": prompt.text,
        "account_name": prompt.account_name,
        "backend_uuid": prompt.backend_uuid,
        "frontend_context_uuid": prompt.frontend_context_uuid,
        "collection_uuid": prompt.collection_uuid,
        "answer_only": "true" if answer_only else "false",
        "mode": prompt.mode,
        "model": prompt.model,
        "sources": ",".join(prompt.sources),
        "language": prompt.language,
    }
    said = {name: value for name, value in fields.items() if value is not None}
    query = urlencode(said, quote_via=quote_plus, encoding="utf-8", errors="replace")
    return f"{path_prefix}/api/query_{way}?{query}"


def room_in(target: str, request_line_bytes: int) -> int:
    """Bytes that the request line may still grow by; negative if it is too long already."""
    return request_line_bytes - _AROUND_TARGET - len(target)


def check_room(target: str, request_line_bytes: int) -> None:
    """Raises AskFailed(QUESTION_TOO_LONG): above its limit the wrapper answers 400, or, by luck, at random."""
    room = room_in(target, request_line_bytes)
    if room < 0:
        explanation = f"the request line is {-room} bytes longer than the {request_line_bytes} it may have"
        raise AskFailed(ModelFailureKind.QUESTION_TOO_LONG, explanation)
