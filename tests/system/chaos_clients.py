"""Customers that do as the contract says: they repeat a message, with its id, until it is answered.

What they sent is written down here, and nowhere read from the system: it is what the checks expect to find there.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx2

from tests.system.running import KEY, Program

COME_AGAIN = {429, 503}
_PATIENCE_SECONDS = 240.0
_ANSWER_SECONDS = 60.0
_PAUSE_SECONDS = (0.05, 0.5)
_CONNECTIONS = 200
_IMPATIENT_SECONDS = 1.5
_IMPATIENT_SHARE = 0.2
_TWICE_SHARE = 0.2


@dataclass(frozen=True)
class SentMessage:
    """One message and the only answer that is right for it, dictated to the simulator."""

    message_id: str
    text: str
    answer: str


@dataclass
class ChaosCustomer:
    name: str
    sent: list[SentMessage] = field(default_factory=list)
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The Turn that each message was answered with, by message id."""

    def compose(self, seconds: float) -> SentMessage:
        """The next message; the model takes *seconds* to answer it."""
        word = f"{self.name}/{len(self.sent)}"
        dictated = f'[[sim: slow={seconds:.2f} reply="Answer to {word}."]]'
        message = SentMessage(f"m-{len(self.sent)}", f"Message {word} {dictated}", f"Answer to {word}.")
        self.sent.append(message)
        return message


class Crowd:
    """Many customers on one program. `seen` counts what their calls came to: statuses, and broken connections."""

    def __init__(self, http: httpx2.AsyncClient, random: Random) -> None:
        self._http = http
        self._random = random
        self.seen: Counter[str] = Counter()

    def answered(self) -> int:
        """How many calls got an answer."""
        return self.seen["200"]

    async def talk(
        self, customers: list[ChaosCustomer], more: Callable[[ChaosCustomer], bool], model_seconds: float
    ) -> None:
        """All of them at once, each one message after the other, as long as there is *more* to say."""

        async def one(customer: ChaosCustomer) -> None:
            while more(customer):
                await self.ask(customer, customer.compose(self._random.uniform(0, 2 * model_seconds)))

        await asyncio.gather(*(one(customer) for customer in customers))

    async def ask(self, customer: ChaosCustomer, message: SentMessage) -> None:
        """Until it is answered. Sometimes twice at once, as front ends do; both get the same turn."""
        times = 2 if self._random.random() < _TWICE_SHARE else 1
        turns = await asyncio.gather(*(self._insist(customer.name, message) for _ in range(times)))
        assert all(turn["turn_id"] == turns[0]["turn_id"] for turn in turns), message
        customer.answers[message.message_id] = turns[0]

    async def _insist(self, name: str, message: SentMessage) -> dict[str, Any]:
        body = {"customer_id": name, "text": message.text, "message_id": message.message_id}
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if turn := await self._once(body):
                return turn
            await asyncio.sleep(self._random.uniform(*_PAUSE_SECONDS))
        raise TimeoutError(f"{name}: {message.message_id} was not answered within {_PATIENCE_SECONDS} s; {self.seen}")

    async def _once(self, body: dict[str, str]) -> dict[str, Any] | None:
        impatient = self._random.random() < _IMPATIENT_SHARE
        try:
            async with asyncio.timeout(_IMPATIENT_SECONDS if impatient else None):
                response = await self._http.post("/api/message", json=body)
        except (httpx2.TransportError, TimeoutError) as error:
            self.seen[type(error).__name__] += 1
            return None
        self.seen[str(response.status_code)] += 1
        assert response.status_code in {200, *COME_AGAIN}, response.text
        return dict(response.json()) if response.status_code == 200 else None


@asynccontextmanager
async def crowd_of(program: Program, random: Random) -> AsyncIterator[Crowd]:
    """A crowd with its connections, which are closed at the end."""
    async with httpx2.AsyncClient(
        base_url=program.addresses["api"],
        headers={"Authorization": f"Bearer {KEY}"},
        timeout=httpx2.Timeout(_ANSWER_SECONDS, pool=None),
        limits=httpx2.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS),
    ) as http:
        yield Crowd(http, random)
