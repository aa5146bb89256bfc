"""What operators find conversations by in Temporal's lists: true after every change, and set only then."""

from __future__ import annotations

from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributeUpdate

with workflow.unsafe.imports_passed_through():
    from schemas import operations
    from schemas.conversations import WorkflowState
    from schemas.turns import State

_STATE = SearchAttributeKey.for_keyword(operations.CONVERSATION_STATE)
_LAST_VERDICT = SearchAttributeKey.for_keyword(operations.LAST_VERDICT)
_TICKET = SearchAttributeKey.for_keyword(operations.TICKET_ID)
_TICKETS = SearchAttributeKey.for_keyword_list(operations.TICKET_IDS)
_HANDOFF_OPEN = SearchAttributeKey.for_bool(operations.HANDOFF_OPEN)


def show_attributes(current: WorkflowState) -> None:
    """One event for all that changed, none if nothing did."""
    shown = workflow.info().typed_search_attributes
    handoff_open = current.state is State.HUMAN_HANDOFF
    changes = list[SearchAttributeUpdate[Any]]()
    if shown.get(_STATE) != current.state:
        changes.append(_STATE.value_set(current.state))
    if shown.get(_HANDOFF_OPEN, False) != handoff_open:
        changes.append(_HANDOFF_OPEN.value_set(handoff_open))
    if current.last_verdict and shown.get(_LAST_VERDICT) != current.last_verdict:
        changes.append(_LAST_VERDICT.value_set(current.last_verdict))
    if shown.get(_TICKET) != current.ticket_id:
        changes.append(_TICKET.value_set(current.ticket_id) if current.ticket_id else _TICKET.value_unset())
    tickets = current.standing.tickets
    if tuple(shown.get(_TICKETS) or ()) != tickets:
        changes.append(_TICKETS.value_set(tickets) if tickets else _TICKETS.value_unset())
    if changes:
        workflow.upsert_search_attributes(changes)
