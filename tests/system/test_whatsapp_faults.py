"""WhatsApp on the real processes: doubled and shuffled webhooks, a worker that dies again and again, a lost server."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from random import Random

import pytest

from tests.support.waiting import until
from tests.system.chaos_faults import Killer
from tests.system.running import Program, running
from tests.system.whatsapp_crowd import (
    check_every_message_is_answered_once_in_order,
    count_chats,
    got_by,
    switch,
    until_all_delivered,
    until_back,
    until_parts,
    write_all,
)

SEED = 20261123
LARGE = (int(os.environ.get("CHAOS_WHATSAPP_CONVERSATIONS", "200")), 5)
SETTINGS = {
    "PERPLEXITY_ACCOUNT_CALLS_IN_FLIGHT": "1000",
    "PERPLEXITY_ACCOUNT_CALLS_PER_MINUTE": "100000",
    "CHANNEL_CUSTOMER_MESSAGES_BURST": "1000",
    "DELIVERY_SETTLE_SECONDS": "8",
    "QUIET_SECONDS": "1.5",
    "RESTART_LIMIT": "1000",
    "RESTART_PAUSE_MAX_SECONDS": "0.2",
    "SIMULATOR_PACE": "0.05",
    "TURN_ATTEMPTS": "20",
    "TURN_REASKS_AFTER_UNKNOWN": "10",
    "TURN_RETRY_PAUSE_SECONDS": "0.1",
}


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    """One for all, each test with customers of its own, in a folder that is open to PostgreSQL's account."""
    with tempfile.TemporaryDirectory(prefix="agent-whatsapp-", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o711)
        yield from running(Path(place) / "data", **SETTINGS)


@pytest.mark.parametrize(
    ("customers", "messages"),
    [
        pytest.param(12, 3, id="small"),
        pytest.param(*LARGE, id="large", marks=[pytest.mark.chaos, pytest.mark.timeout(900)]),
    ],
)
async def test_doubled_and_shuffled_webhooks_while_parts_die(program: Program, customers: int, messages: int) -> None:
    """Every webhook twice, overtaking each other within a second; the worker killed, Temporal once."""
    random, before = Random(SEED), await count_chats(program)
    switch(program, duplicates=1, disorder_seconds=1.0)
    killer = Killer(program, random, ["worker"], (2.0, 4.0))
    killing = asyncio.create_task(killer.kill_on(count().__next__))

    writing = asyncio.create_task(write_all(program, random, range(customers), messages, (2.0, 4.0)))
    await until("the worker killed once", lambda: killer.killed["worker"])
    await asyncio.to_thread(program.kill, "temporal")
    await writing
    killing.cancel()
    await asyncio.gather(killing, return_exceptions=True)
    await asyncio.to_thread(until_back, program)
    await until_all_delivered(program, range(customers), messages)

    print(f"killed the worker {killer.killed['worker']} times and Temporal once")
    assert killer.killed["worker"] >= 2
    check_every_message_is_answered_once_in_order(program, customers, messages)
    assert await count_chats(program) == before + customers


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("switches", "customer"),
    [
        pytest.param({"stall": 1.0, "stall_seconds": 2.0}, 901, id="before the answer is read"),
        pytest.param({"fail_before": 0.5}, 902, id="while the channel refuses"),
        pytest.param({"execute_then_drop": 0.5}, 903, id="after a dropped answer"),
    ],
)
async def test_a_worker_killed_in_the_middle_of_a_long_reply(
    program: Program, switches: dict[str, float], customer: int
) -> None:
    """Each part goes out once, in order, wherever the worker dies."""
    switch(program, **switches)
    text = f'[[sim: reply="{"Many words of a long answer. " * 20}" repeat=60]] Tell me everything'

    await write_all(program, Random(SEED), [customer], 1, (0.0, 0.1), text)
    for kills in range(3):
        await asyncio.to_thread(until_parts, program, customer, 2 * kills + 1)
        await asyncio.to_thread(program.kill, "worker")
        await asyncio.to_thread(program.until_back, "worker")
    await until_all_delivered(program, [customer], 1)

    heads = [text.split("\n")[0] for text in got_by(program, customer)]
    assert len(heads) > 6
    assert heads == [f"({number}/{len(heads)})" for number in range(1, len(heads) + 1)]
