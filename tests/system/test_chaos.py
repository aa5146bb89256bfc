"""Long fault runs on the real processes (`make chaos`): 0 lost, 0 doubled, order kept, one thread each.

Sizes are small enough for two cores and 20 minutes; CHAOS_CONVERSATIONS=500 CHAOS_TURNS=10 CHAOS_STALLS=50 raise them.
Every run prints its seed and its faults, and fails when it saw too few of them. CHAOS_SEED repeats a run's plan.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random, randrange

import pytest

from tests.system.chaos_checks import all_turns, check_all, check_zeros, record, until_counted
from tests.system.chaos_clients import ChaosCustomer, SentMessage, crowd_of
from tests.system.chaos_faults import Killer, killing
from tests.system.running import running

CONVERSATIONS = int(os.environ.get("CHAOS_CONVERSATIONS", "30"))
TURNS = int(os.environ.get("CHAOS_TURNS", "8"))
STALLS = int(os.environ.get("CHAOS_STALLS", "20"))
FLOOD = int(os.environ.get("CHAOS_FLOOD", "1000"))
SEED = int(os.environ.get("CHAOS_SEED", str(randrange(10**9))))
FLOOD_QUESTIONS = 10
FAULTS = 6
AT_MOST_TURNS = 6 * TURNS  # a run goes on until it has seen its faults, but not for ever
MODEL_SECONDS = 0.5

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(420)]

SETTINGS = {
    "PERPLEXITY_ACCOUNT_CALLS_IN_FLIGHT": "1000",
    "PERPLEXITY_ACCOUNT_CALLS_PER_MINUTE": "100000",
    "RESTART_LIMIT": "1000",  # the launcher gives up on parts that die so often
    "RESTART_PAUSE_MAX_SECONDS": "0.2",
    "TURN_ATTEMPTS": "20",
    "TURN_REASKS_AFTER_UNKNOWN": "10",
    "TURN_RETRY_PAUSE_SECONDS": "0.1",
}


@pytest.fixture
def random(request: pytest.FixtureRequest) -> Random:
    print(f"\n{request.node.name}: CHAOS_SEED={SEED}")
    return Random(f"{SEED} {request.node.name}")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Open to PostgreSQL's account, as pytest's own temp folder is not for root."""
    with tempfile.TemporaryDirectory(prefix="agent-chaos-", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o711)
        yield Path(place) / "data"


started = contextmanager(running)


def people(number: int) -> list[ChaosCustomer]:
    return [ChaosCustomer(f"c-{n}") for n in range(number)]


def until_enough(killer: Killer) -> Callable[[ChaosCustomer], bool]:
    """A customer has more to say until their turns and the faults are reached."""

    def more(customer: ChaosCustomer) -> bool:
        said = len(customer.sent)
        return said < TURNS or (killer.killed.total() < FAULTS and said < AT_MOST_TURNS)

    return more


@pytest.mark.parametrize(
    ("parts", "pause"),
    [
        pytest.param(["worker"], (1.0, 3.0), id="worker"),
        pytest.param(["temporal"], (1.0, 5.0), id="temporal"),
        pytest.param(["postgres"], (1.0, 5.0), id="postgres"),
        pytest.param(["worker", "api", "temporal", "postgres"], (1.0, 4.0), id="all"),
    ],
)
async def test_parts_killed_under_load(
    folder: Path, random: Random, parts: list[str], pause: tuple[float, float]
) -> None:
    with started(folder, **SETTINGS) as program:
        customers, killer = people(CONVERSATIONS), Killer(program, random, parts, pause)

        async with crowd_of(program, random) as crowd, killing(killer, crowd.answered):
            await crowd.talk(customers, until_enough(killer), MODEL_SECONDS)

        print(f"killed {dict(killer.killed)}; clients saw {dict(crowd.seen)}")
        assert killer.killed.total() >= FAULTS
        await check_all(program, customers)
        assert set(killer.killed) == set(parts)


async def test_runs_of_three_turns_under_load(folder: Path, random: Random) -> None:
    with started(folder, CONTINUE_AS_NEW_TURNS="3", **SETTINGS) as program:
        customers, killer = people(CONVERSATIONS), Killer(program, random, ["worker"], (3.0, 6.0))

        async with crowd_of(program, random) as crowd, killing(killer, crowd.answered):
            await crowd.talk(customers, lambda customer: len(customer.sent) < TURNS, MODEL_SECONDS / 5)

        print(f"killed {dict(killer.killed)}; clients saw {dict(crowd.seen)}")
        await check_all(program, customers)
        until_counted(program, "ExecutionStatus = 'ContinuedAsNew'", CONVERSATIONS * (TURNS // 3))


async def test_stalls_past_the_time_out_with_both_attempts_alive(folder: Path, random: Random) -> None:
    # A worker learns at its next heartbeat that its attempt counts no more: until then both are at it.
    alive = {"TURN_TIMEOUT_SECONDS": "6", "TURN_HEARTBEAT_SECONDS": "60"}
    with started(folder, **SETTINGS, **alive) as program:
        customers = people(STALLS)

        async with crowd_of(program, random) as crowd:
            await asyncio.gather(*(crowd.ask(customer, stalling(customer, random)) for customer in customers))

        async with record(program) as connection:
            late = await connection.fetchval(
                "SELECT count(*) FROM raw_outputs WHERE NOT used AND failure IS NULL AND text <> ''"
            )
            await check_zeros(connection)
        print(f"{late} of {STALLS} had a second answer that was not used; clients saw {dict(crowd.seen)}")
        assert late >= STALLS / 2
        for customer in customers:
            assert [turn["turn_id"] for turn in all_turns(program, customer.name)] == [
                customer.answers["stalled"]["turn_id"]
            ]


def stalling(customer: ChaosCustomer, random: Random) -> SentMessage:
    """The first asking takes longer than an attempt may; the second ends about when the first does."""
    first, second = f"[[sim: slow=9 times=1 reply=first-{customer.name}]]", random.uniform(1.5, 4.0)
    text = f"Stall {first} [[sim: slow={second:.2f} reply=second-{customer.name}]]"
    return SentMessage("stalled", text, "")


async def test_a_flood_of_messages_to_one_conversation(folder: Path, random: Random) -> None:
    with started(folder, **SETTINGS, JOIN_MAX_MESSAGES="200") as program:
        customer = ChaosCustomer("flooded")
        messages = [SentMessage(f"m-{n}", f"Drop {n};", "") for n in range(FLOOD)]

        async with crowd_of(program, random) as crowd:
            await crowd.ask(customer, SentMessage("first", "Hello", ""))
            await asyncio.gather(*(crowd.ask(customer, message) for message in messages))

        asked = [question["text"] for question in program.questions() if "Drop" in question["text"]]  # not the first's
        print(f"{FLOOD} messages in {len(asked)} questions; clients saw {dict(crowd.seen)}")
        assert len(asked) <= max(FLOOD_QUESTIONS, FLOOD / 100)
        assert all(sum(message.text in text for text in asked) == 1 for message in messages)
        assert {turn["turn_id"] for turn in customer.answers.values()} == {
            turn["turn_id"] for turn in all_turns(program, "flooded")
        }
        async with record(program) as connection:
            assert await connection.fetchval("SELECT count(*) FROM messages WHERE direction = 'in'") == FLOOD + 1
            await check_zeros(connection)
