"""What the system asks of Perplexity, in its own words. Adapter: `wrapper.py`; for tests `double.py` in memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from schemas.failures import MODEL_FAILURES, ModelFailureKind, ModelFailurePolicy
from schemas.turns import Source

OnText = Callable[[str], Awaitable[None]]
"""Called with the whole text so far, each time it changed. It may be shorter than before (then it was replaced)."""


class ModelPrompt(BaseModel):
    """What is put to one thread. `backend_uuid` is the newest accepted answer's, None in a thread's first turn."""

    model_config = ConfigDict(frozen=True)

    text: str
    account_name: str
    frontend_context_uuid: str
    backend_uuid: str | None = None
    collection_uuid: str | None = None
    mode: str = "auto"
    model: str | None = None
    sources: tuple[str, ...] = ("web",)
    language: str = "en-US"


class Answer(BaseModel):
    """An accepted answer. `text` is the last message's answer, citations as written there (`[n]` cites source n)."""

    model_config = ConfigDict(frozen=True)

    text: str
    sources: tuple[Source, ...] = ()
    backend_uuid: str
    frontend_context_uuid: str
    thread_url_slug: str | None = None
    first_text_ms: int | None = None
    """From the prompt to the first of its text, in milliseconds."""
    details: dict[str, Any] = Field(default_factory=dict)
    """Other fields of the last message worth keeping (mode, model, title, …); never a private one."""


class AskFailed(Exception):
    """The call brought no answer. `partial` is the text that had come by then, never shown as an answer.

    `said` is what upstream itself said of it: somebody else's words, which may quote a prompt or an answer. `blocks`:
    of a shape that nobody knows, the names of its blocks.
    """

    def __init__(
        self,
        kind: ModelFailureKind,
        why: str,
        *,
        said: str = "",
        retry_after: float | None = None,
        partial: str = "",
        blocks: str = "",
    ) -> None:
        super().__init__(f"{kind}: {why}")
        self.kind = kind
        self.why = why
        self.said = said
        self.retry_after = retry_after
        self.partial = partial
        self.blocks = blocks

    @property
    def explanation(self) -> str:
        """For the database."""
        return f"{self.why}: {self.said}" if self.said else self.why

    @property
    def policy(self) -> ModelFailurePolicy:
        return MODEL_FAILURES[self.kind]


class Perplexity(Protocol):
    """Puts a prompt and waits for the whole answer. Raises AskFailed, and nothing else but cancellation."""

    async def ask(self, prompt: ModelPrompt, on_text: OnText | None = None) -> Answer: ...

    async def has_thread(self, account_name: str, slug: str) -> bool | None:
        """Whether the account still knows the thread; None if that cannot be told now."""
        ...

    async def healthy(self) -> bool: ...

    def room_for(self, prompt: ModelPrompt) -> int:
        """How many bytes (UTF-8, percent-encoded) of the request line are left; negative if too long."""
        ...

    async def close(self) -> None: ...
