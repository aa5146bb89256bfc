"""Forty customers over WhatsApp on the limits that an installation starts with, while the worker dies again and again.

Each writes on once the message before is answered. Every message gets its own answer: no apology, none doubled.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import httpx2
import pytest

from tests.support.clock import now
from tests.support.waiting import LONGEST_SECONDS, until
from tests.system.chaos_checks import record
from tests.system.chaos_faults import Killer, killing
from tests.system.running import Program, running
from tests.system.whatsapp_crowd import phone_of, posted

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

SEED = 20261126
CUSTOMERS = 40
MESSAGES = 3
KILLS = 6
WORKS_SECONDS = (7.0, 7.0)
"""Of a worker that has begun to work, until it is killed."""
DEFAULTS = {"TURN_HEARTBEAT_SECONDS": "15", "SWEEP_EVERY_SECONDS": "30", "SWEEP_AFTER_SECONDS": "60"}
"""What every other test of the real program sets to be quick."""


@pytest.fixture
def program() -> Iterator[Program]:
    with tempfile.TemporaryDirectory(prefix="agent-limits-", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o711)
        yield from running(Path(place) / "data", **DEFAULTS)


def answer_to(customer: int, number: int) -> str:
    return f"answer-{customer}-{number}"


async def write(http: httpx2.AsyncClient, customer: int, number: int) -> None:
    message = {
        "phone": phone_of(customer),
        "text": f"[[sim: slow=0.3 reply={answer_to(customer, number)}]] question-{customer}-{number}.",
        "id": f"wamid.{customer}.{number}",
        "timestamp": int(now().timestamp()),
    }
    (await http.post("/standin/send", json=message)).raise_for_status()


def texts_got(program: Program) -> dict[int, list[str]]:
    """What each customer's phone was sent, in order."""
    got: dict[int, list[str]] = defaultdict(list)
    customers = {phone_of(customer): customer for customer in range(CUSTOMERS)}
    for each in posted(program):
        got[customers[each["to"]]].append(each["text"]["body"])
    return got


@dataclass
class Seen:
    """What the phones got, and the attempts so far: those that wait for room come again and again."""

    texts: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    attempts: int = 0

    async def look(self, program: Program) -> bool:
        """Whether there is more than at the last look."""
        before = self.attempts, self.texts
        async with record(program) as connection:
            self.attempts = int(await connection.fetchval("SELECT coalesce(sum(attempt), 0) FROM turns"))
        self.texts = await asyncio.to_thread(texts_got, program)
        return before != (self.attempts, self.texts)

    def has(self, customer: int, number: int) -> bool:
        return answer_to(customer, number) in self.texts[customer]


async def converse(program: Program, seen: Seen) -> None:
    """Everybody's messages, each once the one before is answered; returns with the last answer."""
    async with httpx2.AsyncClient(base_url=program.addresses["whatsapp"], timeout=LONGEST_SECONDS) as http:
        await asyncio.gather(*(write(http, customer, 0) for customer in range(CUSTOMERS)))
        written = dict.fromkeys(range(CUSTOMERS), 1)
        while waiting := [one for one, number in written.items() if not seen.has(one, number - 1)]:
            await until(f"a step of {waiting}", lambda: seen.look(program))
            for one in waiting:
                if seen.has(one, written[one] - 1) and written[one] < MESSAGES:
                    await write(http, one, written[one])
                    written[one] += 1


async def test_every_message_gets_its_own_answer_while_workers_die(program: Program) -> None:
    killer, seen = Killer(program, Random(SEED), ["worker"], WORKS_SECONDS), Seen()

    async with killing(killer, lambda: seen.attempts):
        await converse(program, seen)

    print(f"killed the worker {killer.killed['worker']} times")
    assert killer.killed["worker"] >= KILLS
    await check(program)


async def check(program: Program) -> None:
    async with record(program) as connection:
        patience = await connection.fetch("SELECT DISTINCT text FROM messages WHERE meta ? 'interim_notice_of'")
        failures = await connection.fetch("SELECT failure, count(*) FROM raw_outputs GROUP BY failure")
        apologies = await connection.fetchval("SELECT count(*) FROM turns WHERE verdict IS NULL")
        turns = await connection.fetchval("SELECT count(*) FROM turns")
    print(f"{turns} turns, {apologies} apologies; outputs by failure: {[tuple(each) for each in failures]}")
    assert apologies == 0
    notices = {row["text"] for row in patience}
    for customer, texts in texts_got(program).items():
        answers = [text for text in texts if text not in notices]
        assert answers == [answer_to(customer, number) for number in range(MESSAGES)], (customer, texts)
    parts = Counter(each["biz_opaque_callback_data"] for each in posted(program))
    assert [part for part, times in parts.items() if times > 1] == []
