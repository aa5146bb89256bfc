"""The 24-hour window: within it anything may be written to a customer, outside it only approved templates.

Source: Meta, "Customer service windows": it opens, or starts over, with each message or call of the customer.
"""

from __future__ import annotations

from datetime import datetime, timedelta

WINDOW = timedelta(hours=24)


def closes_at(last_customer_message: datetime) -> datetime:
    return last_customer_message + WINDOW


def is_open(
    last_customer_message: datetime | None, now: datetime, *, margin: timedelta = timedelta(seconds=30)
) -> bool:
    """Whether a free text may be sent at *now*. *margin* is kept, as the send itself takes its time.

    Counts from the channel's own timestamp; a customer who never wrote has no window.
    """
    return last_customer_message is not None and now < closes_at(last_customer_message) - margin
