"""Perplexity in memory, for tests of what stands above the port: says what it is told to, counts what it is asked."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from uuid import uuid4

from actions.untrusted import without_marks
from integrations.perplexity.port import Answer, AskFailed, ModelPrompt, OnText

Said = str | AskFailed
Script = Said | Callable[[ModelPrompt], Said | Awaitable[Said]]


def words(prompt: ModelPrompt) -> str:
    """The customer's words, without a prompt pack before them or marks around them."""
    return without_marks(prompt.text)


class ScriptedPerplexity:
    """Answers with the next of *scripts*, then with an echo. Holds back while `gate` is closed."""

    def __init__(self, *scripts: Script) -> None:
        self.prompts: list[ModelPrompt] = []
        self.scripts: deque[Script] = deque(scripts)
        self.gate = asyncio.Event()
        self.gate.set()
        self.room_bytes = 15_000
        self.threads_known: dict[str, bool | None] = {}
        """By slug, as `has_thread` answers; every other thread is known."""
        self.slug = "thread"
        """Upstream makes a slug of the first prompt's words."""
        self.fail_after_text: list[AskFailed] = []
        """Raised one by one after the first half of a text was shown; that text is then still to be said."""

    async def ask(self, prompt: ModelPrompt, on_text: OnText | None = None) -> Answer:
        self.prompts.append(prompt)
        asked_at = time.monotonic()
        said = await self._next(prompt)
        first_text_ms = int((time.monotonic() - asked_at) * 1000)
        if on_text and isinstance(said, str):
            await on_text(said[: len(said) // 2])
        await self.gate.wait()
        if self.fail_after_text:
            self.scripts.appendleft(said)
            raise self.fail_after_text.pop(0)
        if isinstance(said, AskFailed):
            raise said
        if on_text:
            await on_text(said)
        return Answer(
            text=said,
            backend_uuid=str(uuid4()),
            frontend_context_uuid=prompt.frontend_context_uuid,
            thread_url_slug=f"{self.slug}-{prompt.frontend_context_uuid[:8]}",
            first_text_ms=first_text_ms if said else None,
        )

    async def _next(self, prompt: ModelPrompt) -> Said:
        script = self.scripts.popleft() if self.scripts else f"You said: {words(prompt)}"
        if not callable(script):
            return script
        said = script(prompt)
        return await said if isawaitable(said) else said

    async def has_thread(self, account_name: str, slug: str) -> bool | None:
        return self.threads_known.get(slug, True)

    async def healthy(self) -> bool:
        return True

    def room_for(self, prompt: ModelPrompt) -> int:
        return self.room_bytes - len(prompt.text.encode())

    async def close(self) -> None:
        return None
