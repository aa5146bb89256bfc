"""Conversations as API processes and the sweep see them: to be woken, waited for, decided on and told of changes.

They are started by whoever comes first.

The workflow is named here by its type only; what crosses is `schemas.conversations`: ids, never words.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from temporalio.client import (
    Client,
    RPCError,
    RPCStatusCode,
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
    WorkflowUpdateStage,
)
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes, WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError

from config.settings import Settings
from integrations.temporal.health import TemporalHealth, plain_reason, temporal_health
from schemas.channels import PUSH_CHANNELS
from schemas.conversation_ref import ConversationRef
from schemas.conversations import (
    ApprovalDecision,
    ConversationStart,
    Limits,
    MessageAnswered,
    MessageStored,
    SessionChanged,
)
from schemas.operations import ASSISTANT, CHANNEL, CONVERSATION_STATE, STOPPED, WORKFLOW_TYPE
from schemas.turns import State

_RETRY_PAUSE_SECONDS = 0.1
_RETRY_PAUSE_MAX_SECONDS = 2.0
_TRY_AGAIN = {RPCStatusCode.NOT_FOUND, RPCStatusCode.ABORTED, RPCStatusCode.ALREADY_EXISTS}
"""What a call meets whose run ended under it. Anything else does not pass by asking again at once: Temporal is
unavailable, or refuses us (wrong search attributes, no right, no such namespace), and the caller is told."""

_NEVER_CONNECTED = "Failed client connect"
"""How the SDK's RuntimeError begins when a client that connects at its first call cannot."""


class TemporalUnavailable(Exception):
    """Temporal cannot be reached, or did not take the call in time. What was stored stays stored."""


class GaveUp(TemporalUnavailable):
    """The conversation took the call and says that nothing comes of it now, for whatever reason: Temporal is there."""


class ConversationStopped(Exception):
    """An operator cancelled the run in which the call waited; the next one takes it."""


class StillWaiting(Exception):
    """The message is stored but not answered within the time a caller may wait."""


def limits_from(settings: Settings, channel: str = "") -> Limits:
    """The bounds that a run of the workflow is started with. People write in bursts on the channels we send over."""
    bursts = channel in PUSH_CHANNELS
    return Limits(
        quiet=timedelta(seconds=settings.quiet_seconds if bursts else 0),
        quiet_cap=timedelta(seconds=settings.quiet_cap_seconds),
        delivery_timeout=timedelta(seconds=settings.delivery_timeout_seconds),
        delivery_give_up=timedelta(seconds=settings.delivery_give_up_seconds),
        delivery_pause=timedelta(seconds=settings.delivery_pause_max_seconds),
        idle_end=timedelta(seconds=settings.idle_end_seconds),
        turn_timeout=timedelta(seconds=settings.turn_timeout_seconds),
        turn_heartbeat=timedelta(seconds=settings.turn_heartbeat_seconds),
        turn_retry_pause=timedelta(seconds=settings.turn_retry_pause_seconds),
        turn_retry_pause_max=timedelta(seconds=settings.turn_retry_pause_max_seconds),
        turn_give_up=timedelta(seconds=settings.turn_give_up_seconds),
        action_timeout=timedelta(seconds=settings.action_timeout_seconds),
        database_activity_timeout=timedelta(seconds=settings.database_activity_seconds),
        continue_as_new_turns=settings.continue_as_new_turns,
        continue_as_new_events=settings.continue_as_new_events,
    )


class Conversations:
    """Talks to conversations. All calls may be repeated: messages are taken from the inbox by their number."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._task_queue = settings.temporal_task_queue
        self._rpc_timeout = timedelta(seconds=settings.temporal_rpc_timeout_seconds)
        self._look_timeout = timedelta(seconds=settings.temporal_look_seconds)

    async def wait_for_reply(self, message: ConversationRef, call_id: str, wait_seconds: float) -> None:
        """Waits until the conversation has processed *message*: update-with-start, *call_id* the update's id.

        Raises StillWaiting after *wait_seconds* and TemporalUnavailable; both may be repeated, under another id
        (a run gives the same id the same answer).
        """
        try:
            async with asyncio.timeout(wait_seconds):
                pause = _RETRY_PAUSE_SECONDS
                while not await self._try_update(message, call_id):
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, _RETRY_PAUSE_MAX_SECONDS)
        except TimeoutError:
            raise StillWaiting("the message is kept and not answered yet") from None

    async def signal_message_stored(self, message: ConversationRef) -> None:
        """Signal-with-start: works without a worker. Raises TemporalUnavailable."""
        await self._signal(message, "message_stored", [MessageStored(seq=message.seq, files=message.files)])

    async def signal_delivery_due(self, conversation: ConversationRef) -> None:
        """Says that a reply waits to be sent. Raises TemporalUnavailable."""
        await self._signal(conversation, "delivery_due", [])

    async def signal_merged(self, conversation: ConversationRef) -> None:
        """Has a merged conversation hand over what is left, and end. Raises TemporalUnavailable."""
        await self._signal(conversation, "standing_changed", [])

    async def _signal(self, message: ConversationRef, signal: str, arguments: list[Any]) -> None:
        with _told_plainly():
            await self._client.start_workflow(
                WORKFLOW_TYPE,
                self._start(message),
                start_signal=signal,
                start_signal_args=arguments,
                rpc_timeout=self._rpc_timeout,
                **self._options(message),
            )

    async def signal_standing_changed(self, conversation: ConversationRef) -> None:
        """Says that somebody changed the owner, or what is open, in the database. One that does not run reads it with
        its next start. Raises TemporalUnavailable, after TEMPORAL_LOOK_SECONDS at the latest."""
        with _told_plainly():
            handle = self._client.get_workflow_handle(conversation.workflow_id)
            try:
                await handle.signal("standing_changed", rpc_timeout=self._look_timeout)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND or _names_a_namespace(error):
                    raise

    async def resolve_approval(
        self, conversation: ConversationRef, decision: ApprovalDecision, wait_seconds: float
    ) -> SessionChanged:
        """Hands in staff's answer to a pending action. Raises as `wait_for_reply` does, and ConversationStopped."""
        return await self._change(conversation, "resolve_approval", decision, wait_seconds)

    async def resume_approval(self, conversation: ConversationRef, decision: ApprovalDecision) -> None:
        """Hands in a decision that was not acted on to the end; does not wait for what comes of it.

        Raises TemporalUnavailable.
        """
        with _told_plainly():
            try:
                async with asyncio.timeout(self._rpc_timeout.total_seconds()):
                    with self._operation(conversation) as start:
                        await self._client.start_update_with_start_workflow(
                            "resolve_approval",
                            decision,
                            wait_for_stage=WorkflowUpdateStage.ACCEPTED,
                            start_workflow_operation=start,
                            result_type=SessionChanged,
                        )
            except TimeoutError:
                raise TemporalUnavailable("the conversation did not take the decision in time") from None

    async def _change(
        self, conversation: ConversationRef, update: str, argument: BaseModel, wait_seconds: float
    ) -> SessionChanged:
        try:
            async with asyncio.timeout(wait_seconds) as waiting:
                with _told_plainly(), self._operation(conversation) as start:
                    changed: SessionChanged = await self._client.execute_update_with_start_workflow(
                        update,
                        argument,
                        start_workflow_operation=start,
                        result_type=SessionChanged,
                    )
                return changed
        except (TimeoutError, TemporalUnavailable):
            if waiting.expired():  # the SDK tells our own time-out as one of Temporal's
                raise StillWaiting("the conversation is busy") from None
            raise
        except WorkflowUpdateFailedError as error:
            if isinstance(error.cause, ApplicationError) and error.cause.type == STOPPED:
                raise ConversationStopped("an operator cancelled its run") from error
            raise GaveUp(f"the conversation did not carry it out: {type(error.cause).__name__}") from error

    async def run_id(self, workflow_id: str) -> str | None:
        """The newest run's id, None if Temporal knows none (any more). Raises TemporalUnavailable."""
        with _told_plainly():
            try:
                handle = self._client.get_workflow_handle(workflow_id)
                return (await handle.describe(rpc_timeout=self._rpc_timeout)).run_id
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return None
                raise

    async def forget(self, workflow_id: str, why: str) -> None:
        """Ends a run that knows more than the database does: its next one reads what is stored.

        Raises TemporalUnavailable. Nothing is lost by it: a run holds nothing that is not in the database.
        """
        with _told_plainly():
            try:
                await self._client.get_workflow_handle(workflow_id).terminate(why, rpc_timeout=self._rpc_timeout)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise

    async def forget_all(self, why: str) -> int:
        """`forget` for every conversation that runs, for a database that was put back. How many there were."""
        ended = 0
        with _told_plainly():
            query = f"WorkflowType = '{WORKFLOW_TYPE}' AND ExecutionStatus = 'Running'"
            async for execution in self._client.list_workflows(query):
                await self.forget(execution.id, why)
                ended += 1
        return ended

    async def health(self) -> TemporalHealth:
        """Whether conversations could be answered now."""
        return await temporal_health(self._client, self._settings)

    async def _try_update(self, message: ConversationRef, call_id: str) -> bool:
        """One update; False when the run ended, or started over, before it came to the message: try it again."""
        with _told_plainly():
            try:
                with self._operation(message) as start:
                    answered: MessageAnswered = await self._client.execute_update_with_start_workflow(
                        "await_reply",
                        MessageStored(seq=message.seq),
                        id=call_id,
                        start_workflow_operation=start,
                        result_type=MessageAnswered,
                    )
            except WorkflowUpdateFailedError:
                return False
            except RPCError as error:
                if error.status in _TRY_AGAIN and not _names_a_namespace(error):
                    return False
                raise
        if answered.gave_up:
            raise GaveUp("the run was cancelled, or its turn could not be taken for long")
        return answered.cursor >= message.seq

    @contextmanager
    def _operation(self, message: ConversationRef) -> Iterator[WithStartWorkflowOperation[Any, Any]]:
        """The start of an update-with-start. The SDK notes a failure of the call in it too, our own time-out included:
        unless somebody reads that, asyncio logs an error."""
        operation: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
            WORKFLOW_TYPE, self._start(message), **self._options(message)
        )
        reading = asyncio.create_task(_read(operation))
        try:
            yield operation
        finally:
            reading.cancel()

    def _start(self, message: ConversationRef) -> ConversationStart:
        return ConversationStart(
            conversation_id=message.conversation_id,
            channel=message.channel,
            assistant=message.assistant,
            limits=limits_from(self._settings, message.channel),
        )

    def _options(self, message: ConversationRef) -> dict[str, Any]:
        attributes = {CONVERSATION_STATE: State.BOT, CHANNEL: message.channel, ASSISTANT: message.assistant}
        pairs = [SearchAttributePair(SearchAttributeKey.for_keyword(name), str(v)) for name, v in attributes.items()]
        return {
            "id": message.workflow_id,
            "task_queue": self._task_queue,
            "id_conflict_policy": WorkflowIDConflictPolicy.USE_EXISTING,
            "search_attributes": TypedSearchAttributes(pairs),
            "static_summary": f"A customer's conversation with assistant {message.assistant} over {message.channel}",
        }


@contextmanager
def _told_plainly() -> Iterator[None]:
    """Turns every way in which Temporal can be unavailable, or refuse us, into TemporalUnavailable."""
    try:
        yield
    except (RPCError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
        raise TemporalUnavailable(plain_reason(error)) from error
    except RuntimeError as error:
        if not str(error).startswith(_NEVER_CONNECTED):
            raise
        raise TemporalUnavailable(plain_reason(error)) from error


async def _read(operation: WithStartWorkflowOperation[Any, Any]) -> None:
    with suppress(Exception):  # the call raises it as well
        await operation.workflow_handle()


def _names_a_namespace(error: RPCError) -> bool:
    """Whether what was not found is our namespace, and not a run."""
    return any("NamespaceNotFound" in detail.type_url for detail in error.grpc_status.details)
