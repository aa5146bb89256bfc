"""The built-in actions, declared. Their metadata models are in `schemas.actions`, their handlers in
`activities/action_handlers.py`."""

from __future__ import annotations

from schemas.actions import (
    ActionDefinition,
    ActionMetadata,
    ApiCallMetadata,
    CloseConversationMetadata,
    CreateTicketMetadata,
    HandoffSalesMetadata,
    HandoffSupportMetadata,
    TicketStatusMetadata,
)

METADATA_MODELS: dict[str, type[ActionMetadata]] = {
    "handoff_sales": HandoffSalesMetadata,
    "handoff_support": HandoffSupportMetadata,
    "create_ticket": CreateTicketMetadata,
    "ticket_status": TicketStatusMetadata,
    "api_call": ApiCallMetadata,
    "close_conversation": CloseConversationMetadata,
}


def _schema_of(name: str) -> dict[str, object]:
    return METADATA_MODELS[name].model_json_schema()


BUILT_IN_ACTIONS: tuple[ActionDefinition, ...] = (
    ActionDefinition(
        name="handoff_sales",
        description="Hands the conversation to a person in sales: the customer wants to buy, a quote, or an offer.",
        metadata_schema=_schema_of("handoff_sales"),
        handler="handoff",
        safe=True,
        safe_because="built in",
        plain="pass you on to our sales team",
        settings={"team": "sales"},
        example={"summary": "Wants 40 office chairs by March, asks for a quote.", "urgency": "high"},
    ),
    ActionDefinition(
        name="handoff_support",
        description="Hands the conversation to a person in support: the customer asks for a human, or you cannot help.",
        metadata_schema=_schema_of("handoff_support"),
        handler="handoff",
        safe=True,
        safe_because="built in",
        plain="pass you on to a colleague in support",
        settings={"team": "support"},
        example={"summary": "Has tried both resets; the device still does not start."},
    ),
    ActionDefinition(
        name="create_ticket",
        description="Opens a ticket that staff work on later: a fault, a complaint, a request that needs follow-up.",
        metadata_schema=_schema_of("create_ticket"),
        handler="create_ticket",
        safe=True,
        safe_because="built in",
        plain="open a ticket for you",
        example={
            "subject": "Order A-10023 arrived broken",
            "description": "The lamp of order A-10023 arrived with a cracked shade. The customer wants a new one.",
            "priority": "high",
        },
    ),
    ActionDefinition(
        name="ticket_status",
        description="Looks up how one of this customer's own tickets stands. You get the result and then answer.",
        metadata_schema=_schema_of("ticket_status"),
        handler="ticket_status",
        safe=True,
        safe_because="built in",
        plain="look up how your ticket stands",
        returns_result=True,
        example={"ticket_id": "T-1042"},
    ),
    ActionDefinition(
        name="api_call",
        description="Asks one of the endpoints listed below. You fill in its parameters, never an address. "
        "You get the result and then answer.",
        metadata_schema=_schema_of("api_call"),
        handler="api_call",
        safe=True,
        safe_because="built in",
        plain="look something up for you",
        returns_result=True,
    ),
    ActionDefinition(
        name="close_conversation",
        description="Ends the conversation: the customer says that everything is settled.",
        metadata_schema=_schema_of("close_conversation"),
        handler="close_conversation",
        safe=True,
        safe_because="built in",
        plain="close this conversation",
        example={"summary": "Delivery times explained; nothing is open."},
    ),
)
