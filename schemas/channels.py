"""Which channels a reply has to be sent over; on the others the caller gets it as the answer to the call."""

from __future__ import annotations

WHATSAPP = "whatsapp"
"""Whoever carries it: Meta's Cloud API and Twilio are its providers."""

PUSH_CHANNELS = (WHATSAPP,)
"""A further one is added here and, by a migration, to the database's `needs_delivery`; a test compares them."""


PROVIDERS = ("meta", "twilio")
"""Who carries messages of a channel: no channel of their own, so nobody's call may write as if there were one."""


def needs_delivery(channel: str, account: str) -> bool:
    """Whether replies go out by ourselves: the customer came over the channel, to an account of ours."""
    return channel in PUSH_CHANNELS and account != ""
