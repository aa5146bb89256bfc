"""Customers on the stand-in's phones: what they write, and what is true of what they got."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

import httpx2

from tests.support.clock import now
from tests.support.waiting import LONGEST_SECONDS, until, until_blocking
from tests.system.chaos_checks import record
from tests.system.running import Program

_UNIT = 1_000_000
"""Stand-in phone numbers begin here, so that all have the same length."""


def phone_of(customer: int) -> str:
    return f"1555{_UNIT + customer}"


def words(customer: int, number: int) -> str:
    """A question that dictates its own answer: both name the customer and the message."""
    return f"[[sim: reply=answer-{customer}-{number}]] question-{customer}-{number}."


async def write_all(
    program: Program,
    random: Random,
    customers: Iterable[int],
    messages: int,
    pause: tuple[float, float],
    text: str = "",
) -> None:
    """Every customer writes, message by message (*text*, or `words`); the channel's timestamps tell their order."""
    began = int(now().timestamp()) - messages
    async with httpx2.AsyncClient(base_url=program.addresses["whatsapp"], timeout=LONGEST_SECONDS) as http:

        async def write(customer: int) -> None:
            await asyncio.sleep(random.uniform(0, pause[1]))
            for number in range(messages):
                message = {
                    "phone": phone_of(customer),
                    "text": text or words(customer, number),
                    "id": f"wamid.{customer}.{number}",
                    "timestamp": began + number,
                }
                (await http.post("/standin/send", json=message)).raise_for_status()
                await asyncio.sleep(random.uniform(*pause))

        await asyncio.gather(*(write(customer) for customer in customers))


def switch(program: Program, **switches: Any) -> None:
    httpx2.put(f"{program.addresses['whatsapp']}/standin/switches", json=switches).raise_for_status()


def posted(program: Program) -> list[dict[str, Any]]:
    """What our sending code posted to the Graph API, and was taken, in order."""
    found = httpx2.get(f"{program.addresses['whatsapp']}/standin/posted", timeout=30).json()
    return [dict(each) for each in found]


def got_by(program: Program, customer: int) -> list[str]:
    """What one customer's phone was sent, in order."""
    return [each["text"]["body"] for each in posted(program) if each["to"] == phone_of(customer)]


def until_parts(program: Program, customer: int, parts: int) -> None:
    """Returns once one customer's phone was sent so many messages."""
    until_blocking(f"{parts} parts", lambda: got_by(program, customer), lambda got: len(got) >= parts)


async def until_all_delivered(program: Program, customers: Sequence[int], messages: int) -> None:
    """Returns once every message is stored and processed, and no reply is due any more; each step is waited for."""
    ids = [f"wamid.{customer}.{number}" for customer in customers for number in range(messages)]
    done = {"stored": len(ids), "waiting": 0, "due": 0}
    seen: dict[str, int] = {}
    while not done.items() <= seen.items():
        seen = await until(f"a step towards {done}", lambda: _standing(program, ids), lambda now, old=seen: now != old)


async def _standing(program: Program, ids: list[str]) -> dict[str, int]:
    async with record(program) as connection:
        row = await connection.fetchrow(
            "SELECT (SELECT count(*) FROM messages WHERE channel_message_id = ANY($1)) AS stored,"
            " (SELECT coalesce(sum(newest_seq - cursor), 0) FROM conversations) AS waiting,"
            " (SELECT count(*) FROM messages WHERE delivery = 'due') AS due,"
            " (SELECT coalesce(sum(attempt), 0) FROM deliveries) AS sends",
            ids,
        )
    return {name: int(value) for name, value in row.items()}


def check_every_message_is_answered_once_in_order(program: Program, customers: int, messages: int) -> None:
    """By what the model was asked, and what the phones got."""
    asked: dict[int, list[int]] = defaultdict(list)
    for question in program.questions():
        for word in question["text"].split():
            if word.startswith("question-"):
                _, customer, number = word.rstrip(".").split("-")
                asked[int(customer)].append(int(number))
    for customer in range(customers):
        assert set(asked[customer]) == set(range(messages)), (customer, asked[customer])
    sent = posted(program)
    parts = Counter(each["biz_opaque_callback_data"].partition(".")[0] for each in sent)
    assert not {part: times for part, times in parts.items() if times > 1}
    for customer in range(customers):
        got = got_by(program, customer)
        numbers = [int(text.rpartition("-")[2]) for text in got]
        assert numbers == sorted(set(numbers)), (customer, got)
        assert numbers
        assert numbers[0] == 0


async def count_chats(program: Program) -> int:
    """Customers in the database; each has one conversation."""
    async with record(program) as connection:
        row = await connection.fetchrow(
            "SELECT (SELECT count(*) FROM customers) AS a, (SELECT count(*) FROM conversations) AS b"
        )
    assert row["a"] == row["b"]
    return int(row["a"])


def until_back(program: Program) -> None:
    for part in ("postgres", "temporal", "worker", "api"):
        program.until_back(part)
    switches = f"{program.addresses['whatsapp']}/standin/switches"
    until_blocking("the stand-in", lambda: httpx2.get(switches).status_code, lambda status: status == 200)
