"""A conversation's workflow, as an operator sees it."""

from __future__ import annotations

from typing import Any

from temporalio.client import WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from schemas.conversations import WorkflowState
from tests.support.waiting import until, within
from tests.system_in_process import System


async def handle_of(system: System) -> WorkflowHandle[Any, Any]:
    """The only conversation's."""
    [row] = await system.database.rows("SELECT workflow_id FROM conversations")
    return system.temporal.get_workflow_handle(row["workflow_id"])


async def attributes_of(system: System) -> dict[str, Any]:
    description = await (await handle_of(system)).describe()
    return {pair.key.name: pair.value for pair in description.typed_search_attributes}


async def until_shown(system: System, name: str, value: object) -> None:
    """Returns once the search attribute *name* is *value*; None: it is not set."""
    await until(f"{name} {value}", lambda: attributes_of(system), lambda shown: shown.get(name) == value)


async def state_of(system: System) -> WorkflowState:
    """An empty one where it has not begun yet: a webhook's conversation is woken after the answer."""
    try:
        return WorkflowState.model_validate(await (await handle_of(system)).query("workflow_state"))
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return WorkflowState()
        raise


async def ended(handle: WorkflowHandle[Any, Any]) -> None:
    await within("the end of the workflow", handle.result(), lambda: handle.id)


async def runs_of(system: System) -> int:
    """How many runs the only conversation has had, the one under way included."""
    handle = await handle_of(system)
    query = f"WorkflowId = '{handle.id}'"
    return (await system.temporal.count_workflows(query)).count


async def activities_of(system: System) -> list[str]:
    """The names of the activities of the newest run, in order."""
    events = (await (await handle_of(system)).fetch_history()).events
    scheduled = [event.activity_task_scheduled_event_attributes for event in events]
    return [each.activity_type.name for each in scheduled if each.activity_type.name]
