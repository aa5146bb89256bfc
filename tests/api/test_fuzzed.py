"""No call that can be made up from the OpenAPI document is answered with an error of ours, all services up."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from random import randrange

import pytest

from tests.fuzzing import Kind, fuzz
from tests.system_in_process import KEY, System, running_system

CALLS = int(os.environ.get("FUZZ_CALLS", "20000"))
SEED = int(os.environ.get("CHAOS_SEED", str(randrange(10**9))))
NO_LIMITS = {
    "customer_messages_burst": 1_000_000,
    "channel_account_messages_burst": 1_000_000,
    "change_wait_seconds": 2.0,
}


@pytest.fixture
async def system(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    async with running_system(postgres_url, temporal_address, **NO_LIMITS) as system:
        yield system


async def check(system: System, kind: Kind, calls: int, seed: int) -> None:
    document = (await system.http.get("/openapi.json")).json()

    fuzzed = await asyncio.to_thread(fuzz, document, str(system.http.base_url), KEY, kind, calls, seed)

    assert fuzzed.broken == []
    assert fuzzed.statuses.total() >= 0.9 * calls, fuzzed.calls_of
    assert fuzzed.statuses[200] > 0.1 * calls, fuzzed.statuses


@pytest.mark.timeout(600)  # some seconds of computing, which a busy machine takes minutes for
@pytest.mark.parametrize("kind", ["alone", "chained"])
async def test_no_call_of_a_few_hundred_breaks_anything(system: System, kind: Kind) -> None:
    await check(system, kind, 250, seed=11)


@pytest.mark.chaos
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ["alone", "chained"])
async def test_no_call_of_many_thousand_breaks_anything(system: System, kind: Kind) -> None:
    print(f"\nCHAOS_SEED={SEED}")
    await check(system, kind, CALLS // 2, SEED)
