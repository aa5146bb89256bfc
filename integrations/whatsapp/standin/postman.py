"""Posts the stand-in's webhooks as Meta does: signed, at least once, and again after anything but a 200."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import Callable

import httpx2

from integrations.whatsapp.standin.switches import Switches

ATTEMPTS = 12
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
POST_SECONDS = 20.0
AT_ONCE = 50


Sign = Callable[[str, bytes], dict[str, str]]


class Postman:
    """Webhooks of one chat go out one after the other, unless the switches want disorder.

    *sign* gives the headers for an address and a body.
    """

    def __init__(
        self, sign: Callable[[str, bytes], dict[str, str]], switches: Callable[[], Switches], seed: int
    ) -> None:
        self._sign = sign
        self._switches = switches
        self._random = random.Random(seed)
        self._http = httpx2.AsyncClient(timeout=POST_SECONDS, trust_env=False)  # webhooks stay on this machine
        self._lanes: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self.posted = 0
        self.given_up = 0

    def post(self, url: str, body: bytes, lane: str, on_start: Callable[[], None] | None = None) -> None:
        """Takes *body* for posting to *url*, as often as the switches say, and returns at once.

        *on_start* is called when its turn comes: what the webhook tells has happened then.
        """
        for _ in range(1 + self._switches().duplicates):
            task = asyncio.create_task(self._deliver(url, body, lane, on_start))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def idle(self) -> None:
        """Returns when nothing waits to be posted any more."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self.idle()
        await self._http.aclose()

    async def _deliver(self, url: str, body: bytes, lane: str, on_start: Callable[[], None] | None) -> None:
        switches = self._switches()
        overtaken = self._random.uniform(0, switches.disorder_seconds)
        async with contextlib.nullcontext() if switches.disorder_seconds else self._lanes[lane]:
            await asyncio.sleep(switches.delay_seconds + overtaken)
            if on_start:
                on_start()
            await self._post(url, body)

    async def _post(self, url: str, body: bytes) -> None:
        pause = FIRST_PAUSE
        for _ in range(ATTEMPTS):
            if await self._accepted(url, body):
                self.posted += 1
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        self.given_up += 1

    async def _accepted(self, url: str, body: bytes) -> bool:
        try:
            async with self._gate:
                response = await self._http.post(url, content=body, headers=self._sign(url, body))
        except httpx2.HTTPError:
            return False
        return response.status_code == 200
