"""Names that Temporal is told: shared by the start of its server, the workflows and the API."""

from __future__ import annotations

WORKFLOW_TYPE = "Conversation"

STOPPED = "Stopped"
"""The type of the error with which a cancelled run refuses."""

CONVERSATION_STATE = "ConversationState"
CHANNEL = "Channel"
ASSISTANT = "Assistant"
TICKET_ID = "TicketId"
TICKET_IDS = "TicketIds"
HANDOFF_OPEN = "HandoffOpen"
LAST_VERDICT = "LastVerdict"

SEARCH_ATTRIBUTES: dict[str, str] = {
    CONVERSATION_STATE: "Keyword",
    CHANNEL: "Keyword",
    ASSISTANT: "Keyword",
    TICKET_ID: "Keyword",
    TICKET_IDS: "KeywordList",
    HANDOFF_OPEN: "Bool",
    LAST_VERDICT: "Keyword",
}
"""Search attribute → Temporal type. Never a customer's name, number or words: they are not encrypted."""
