"""The end of a run whose conversation goes on in another: it hands over until nothing woke it meanwhile."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from temporalio import activity
from temporalio.worker import Worker

from config.settings import Settings
from integrations.temporal.connection import connect
from integrations.temporal.conversations import Conversations
from schemas.conversations import ConversationStart, HandOver, Limits, LoadedState, WorkflowState
from tests.support.waiting import until, within
from worker.app import SANDBOX
from workflows.conversation import Conversation


class MergedConversation:
    """The activities of one that is merged; its first handing over is held until `gate` opens."""

    def __init__(self) -> None:
        self.handed_over = 0
        self.gate = asyncio.Event()

    @activity.defn
    async def load_state(self, start: ConversationStart) -> LoadedState:
        return LoadedState(workflow_state=WorkflowState(merged=True), limits=Limits())

    @activity.defn
    async def hand_over(self, request: HandOver) -> None:
        self.handed_over += 1
        await within("a release", self.gate.wait(), lambda: self.handed_over)


async def test_what_wakes_it_while_it_hands_over_is_handed_over_too(temporal_address: str) -> None:
    settings = Settings(_env_file=None, temporal_address=temporal_address)  # type: ignore[call-arg]
    looking = Conversations(await connect(settings, lazy=True), settings)
    await until("a Temporal that answers", looking.health, lambda seen: seen.answers)
    client = await connect(settings)
    does, name = MergedConversation(), f"merged-{uuid4()}"
    worker = Worker(
        client,
        task_queue=name,
        workflows=[Conversation],
        activities=[does.load_state, does.hand_over],
        workflow_runner=SANDBOX,
    )
    async with worker:
        start = ConversationStart(conversation_id=uuid4())
        handle = await client.start_workflow(Conversation.run, start, id=name, task_queue=name)
        await until("the first handing over", lambda: does.handed_over)
        await handle.signal("delivery_due")

        does.gate.set()

        await within("the run's end", handle.result(), lambda: does.handed_over)
    assert does.handed_over == 2
