"""Messages as an API process hands them to the inbox."""

from __future__ import annotations

from schemas.messages import CustomerIdentity, IncomingMessage


def incoming(text: str, number: int, customer: str = "c-1") -> IncomingMessage:
    return IncomingMessage(
        channel="http",
        identities=[CustomerIdentity(kind="customer_id", value=customer)],
        id_scope=customer,
        channel_message_id=f"m-{number}",
        text=text,
    )
