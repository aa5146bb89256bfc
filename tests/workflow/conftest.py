"""One worker with the real workflow and scripted activities, for tests that hit it at every moment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest_asyncio
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from schemas.conversations import Limits
from tests.workflow.drawing import QUEUE, Driver
from tests.workflow.scripted import Scripted, ScriptedWorld
from worker.app import SANDBOX
from workflows.conversation import Conversation


class Lab:
    """All conversations of a module, and what their runs came to. No dataclass: a failure would show it all."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.worlds = dict[UUID, ScriptedWorld]()
        self.reached = set[str]()

    def driver(self, limits: Limits, *, pushes: bool = True) -> Driver:
        world = ScriptedWorld(limits, pushes)
        self.worlds[world.id] = world
        return Driver(self.client, world)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lab(temporal_address: str) -> AsyncIterator[Lab]:
    """One worker for all drawn conversations, with scripted activities."""
    client = await Client.connect(temporal_address, data_converter=pydantic_data_converter)
    lab = Lab(client)
    brief = timedelta(milliseconds=100)
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[Conversation],
        activities=Scripted(lab.worlds).activities,
        workflow_runner=SANDBOX,
        max_heartbeat_throttle_interval=brief,
        default_heartbeat_throttle_interval=brief,
    ):
        yield lab
