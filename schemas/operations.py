"""Names under which operators find conversations in Temporal: shared by the dev server, the workflows and the API."""

from __future__ import annotations

WORKFLOW_TYPE = "Conversation"

SEARCH_ATTRIBUTES: dict[str, str] = {
    "ConversationState": "Keyword",
    "Channel": "Keyword",
    "Assistant": "Keyword",
    "TicketId": "Keyword",
    "TicketIds": "KeywordList",
    "HandoffOpen": "Bool",
    "LastVerdict": "Keyword",
}
"""Search attribute → Temporal type. Never a customer's name, number or words: they are not encrypted."""
