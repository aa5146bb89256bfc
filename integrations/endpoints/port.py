"""What `api_call` asks of the outside world: one configured endpoint, its parameters, and the effect's key."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from schemas.actions import Endpoint


class CallFailureKind(StrEnum):
    """What is known of a call that brought no result."""

    NOT_SENT = "not_sent"  # surely nothing was executed, or it only reads: may be tried again
    REFUSED = "refused"  # by our own rules: never tried again
    FAILED = "failed"  # the service said no: surely not executed
    UNKNOWN = "unknown"  # it may have been executed


class EndpointResult(BaseModel):
    """A service's answer: HTTP status, content type, and the whole text, or why there is none (`unread`)."""

    model_config = ConfigDict(frozen=True)

    status: int
    content_type: str = ""
    body: str = ""
    unread: str = ""


class EndpointFailed(Exception):
    """The call brought no result. The explanation never holds a secret. *retry_after*: seconds, if the service said."""

    def __init__(self, kind: CallFailureKind, explanation: str, *, retry_after: float | None = None) -> None:
        super().__init__(f"{kind}: {explanation}")
        self.kind = kind
        self.explanation = explanation
        self.retry_after = retry_after


class Endpoints(Protocol):
    async def call(self, endpoint: Endpoint, params: dict[str, Any], key: str | None) -> EndpointResult:
        """Calls once, with *key* as `Idempotency-Key`, if there is one. Raises EndpointFailed."""
        ...

    async def close(self) -> None: ...
