"""The assistant's configurations that an example may put in force."""

from __future__ import annotations

from typing import Any

from schemas.actions import AssistantActions, Confirmation, Endpoint
from schemas.assistants import Accounts, AssistantConfig
from schemas.messages import CustomerIdentity
from tests.model.names import Name
from tests.support.shop import BOOK, CANCEL

ACCOUNT = "100"
KEYS = (
    CustomerIdentity(kind="phone", value="15550000001"),
    CustomerIdentity(kind="user_id", value="customer-2"),
)
"""By what the channel knows the two customers, until a message carries both."""
NEW_NUMBER = CustomerIdentity(kind="phone", value="15550000003")
"""The first customer's, once theirs has changed: then the old one is a stranger's."""
STRANGER = 2
LOOK_UP = Endpoint(name="look_up", description="Looks up", url="https://shop.example/orders")
PAY = Endpoint(
    name="pay",
    description="Pays",
    method="POST",
    url="https://shop.example/pay",
    honours_idempotency_key=True,
    safe=True,
    safe_because="it is the shop's money",
)


class Configured(Name):
    ALL = "all"
    NO_ENDPOINTS = "no endpoints"
    APPROVALS = "approvals"
    KEEPS_QUESTIONS = "keeps questions"
    NO_REPAIRS = "no repairs"
    HOLDS = "holds while a ticket is open"


_BY_STAFF = ("create_ticket", "handoff_support", "close_conversation")
_ALL: dict[str, Any] = {
    "endpoints": (LOOK_UP, BOOK, PAY, CANCEL),
    "repair_pause_seconds": 0.0,
    "confirmation_seconds": 900.5,
    "approval_seconds": 7_200.5,
    "repeat_window_seconds": 600.5,
}
_CHANGES: dict[Configured, dict[str, Any]] = {
    Configured.ALL: {},
    Configured.NO_ENDPOINTS: {"endpoints": (LOOK_UP,)},
    Configured.APPROVALS: {"confirmations": dict.fromkeys(_BY_STAFF, Confirmation.STAFF), "repairs": 0},
    Configured.KEEPS_QUESTIONS: {"unclear_answer": "keep"},
    Configured.NO_REPAIRS: {"repairs": 0},
    Configured.HOLDS: {"ticket_open": "hold", "repairs": 0},
}


def configuration(which: Configured) -> AssistantConfig:
    actions = AssistantActions(**{**_ALL, **_CHANGES[which]})
    return AssistantConfig(accounts=Accounts(whatsapp=(ACCOUNT,)), account_name="acct-1", actions=actions)
