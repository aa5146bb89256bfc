"""How a reply enters the outbox, in the statements that store one."""

from __future__ import annotations

from schemas.channels import PUSH_CHANNELS

_NAMES = ", ".join(repr(name) for name in PUSH_CHANNELS)

DELIVERY = f"CASE WHEN channel IN ({_NAMES}) AND account <> '' THEN 'due' END"
"""SQL, as `schemas.channels.needs_delivery`: `messages.delivery` of a new message in the conversation that is
selected."""
