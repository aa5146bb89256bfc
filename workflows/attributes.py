"""What operators find conversations by in Temporal's lists: true after every change, and set only then."""

from __future__ import annotations

from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributeUpdate

with workflow.unsafe.imports_passed_through():
    from schemas.conversations import Memory
    from schemas.turns import State

_STATE = SearchAttributeKey.for_keyword("ConversationState")
_LAST_VERDICT = SearchAttributeKey.for_keyword("LastVerdict")
_TICKET = SearchAttributeKey.for_keyword("TicketId")
_TICKETS = SearchAttributeKey.for_keyword_list("TicketIds")
_HANDOFF_OPEN = SearchAttributeKey.for_bool("HandoffOpen")


def show_attributes(memory: Memory) -> None:
    """One event for all that changed, none if nothing did."""
    shown = workflow.info().typed_search_attributes
    handed_over = memory.state is State.HUMAN_HANDOFF
    changes = list[SearchAttributeUpdate[Any]]()
    if shown.get(_STATE) != memory.state:
        changes.append(_STATE.value_set(memory.state))
    if shown.get(_HANDOFF_OPEN, False) != handed_over:
        changes.append(_HANDOFF_OPEN.value_set(handed_over))
    if memory.last_verdict and shown.get(_LAST_VERDICT) != memory.last_verdict:
        changes.append(_LAST_VERDICT.value_set(memory.last_verdict))
    if shown.get(_TICKET) != memory.ticket_id:
        changes.append(_TICKET.value_set(memory.ticket_id) if memory.ticket_id else _TICKET.value_unset())
    tickets = memory.standing.tickets
    if tuple(shown.get(_TICKETS) or ()) != tickets:
        changes.append(_TICKETS.value_set(tickets) if tickets else _TICKETS.value_unset())
    if changes:
        workflow.upsert_search_attributes(changes)
