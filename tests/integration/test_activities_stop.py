"""Activities obey at once when their worker stops: no wait inside one holds it up."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from tests.support import clock
from tests.support.waiting import within
from tests.system_in_process import System, running_system
from tests.whatsapp_customer import SETTINGS, Customer, written
from worker.app import create_worker
from worker.running import running

STOP_SECONDS = 5.0
"""The worker's grace time is 0 here: what is measured is the cancel alone, on a loaded machine."""

PHOTO = {"id": "77", "mime_type": "image/png", "sha256": "x"}


@pytest.fixture
async def system(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    settings = {
        **SETTINGS,
        "perplexity_account_calls_in_flight": 1,
        "still_working_seconds": 0.05,
        "media_dir": "unused",
    }
    async with running_system(postgres_url, temporal_address, worker=False, **settings) as system:
        yield system


async def stop_once(system: System, reached: Callable[[], Awaitable[Any]]) -> float:
    """How long a worker takes to end that is told to when *reached*, which bounds itself, returns."""
    worker = create_worker(system.temporal, system.database, system.outside, system.settings, clock.now)
    async with running(worker, system.settings):
        await reached()
        begun = time.monotonic()
    return time.monotonic() - begun


async def held(system: System) -> None:
    """Returns once the channel holds back what it is to send or to download."""
    await within("a call that the channel holds back", system.whatsapp.held.wait(), lambda: system.statements[-5:])


async def test_one_that_asks_the_model(system: System) -> None:
    system.perplexity.gate.clear()
    await Customer(system).write("Hello")

    assert await stop_once(system, lambda: system.until_asked(1)) < STOP_SECONDS


async def test_one_that_sends_to_a_channel(system: System) -> None:
    system.whatsapp.gate.clear()
    await Customer(system).write("Hello")

    assert await stop_once(system, lambda: held(system)) < STOP_SECONDS
    assert system.whatsapp.sent == []


async def test_one_whose_word_of_patience_hangs_in_the_channel(system: System) -> None:
    system.whatsapp.gate.clear()
    system.perplexity.gate.clear()
    await Customer(system).write("Hello")

    assert await stop_once(system, lambda: held(system)) < STOP_SECONDS


async def test_one_that_fetches_a_file(system: System) -> None:
    system.whatsapp.gate.clear()
    system.perplexity.gate.clear()
    await Customer(system).send(written("", type="image", text=None, image=PHOTO))

    assert await stop_once(system, lambda: held(system)) < STOP_SECONDS
