"""How a reply enters the outbox, in the statements that store one."""

from __future__ import annotations

DELIVERY = "CASE WHEN needs_delivery(channel, account) THEN 'due' END"
"""SQL: `messages.delivery` of a new message in the conversation that is selected. `needs_delivery` is the same rule as
`schemas.channels.needs_delivery` (storage/sql/deliveries.sql); a test compares the two."""
