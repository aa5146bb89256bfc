"""A worker at work, and its end: bounded, for the SDK's last step may never return.

Seen on a busy machine with temporalio 1.35.0, in 1 of 12 runs of one test (another hung without a dump): all polls and
activities have ended, and `finalize_shutdown` of its Rust core still waits. Nothing of ours is under way then, so that
wait is given up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio.worker import Worker

from config.logs import get_logger
from config.settings import Settings

log = get_logger(__name__)


@asynccontextmanager
async def running(worker: Worker, settings: Settings) -> AsyncIterator[None]:
    """*worker* works until the block ends; a worker that fails ends the block, and its error is raised.

    A worker that has not ended half of WORKER_ABANDON_SECONDS after the grace time is cancelled; the clock of
    `worker/stopping.py` bounds what that takes, and what comes after.
    """
    block = asyncio.current_task()
    assert block
    work = asyncio.create_task(worker.run())
    work.add_done_callback(_end_block := lambda _: block.cancel())
    try:
        yield
    finally:
        work.remove_done_callback(_end_block)
        await _stop(worker, work, settings.worker_shutdown_seconds + settings.worker_abandon_seconds / 2)


async def _stop(worker: Worker, work: asyncio.Task[None], seconds: float) -> None:
    if not work.done():
        asked = asyncio.create_task(worker.shutdown())
        await asyncio.wait({work}, timeout=seconds)
        if not work.done():
            log.warning("worker_end_given_up", after_seconds=seconds)
        asked.cancel()
        work.cancel()
        await asyncio.wait({work, asked}, timeout=seconds)
    if work.done() and not work.cancelled():
        work.result()
