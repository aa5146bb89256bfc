"""What the stand-in's phone shows of a message of ours: it posts statuses shuffled, and shows the furthest.

`queued → sent → delivered → read`, or `failed` for what never arrived; `failed` and `deleted` are final. The product
has the same rules in SQL, where they count: `record_statuses`.
"""

from __future__ import annotations

from integrations.whatsapp.incoming import DeliveryStatus

_RANK = {
    DeliveryStatus.QUEUED: 0,
    DeliveryStatus.SENT: 1,
    DeliveryStatus.DELIVERED: 2,
    DeliveryStatus.READ: 3,
}
_ARRIVED = frozenset({DeliveryStatus.DELIVERED, DeliveryStatus.READ})
_FINAL = frozenset({DeliveryStatus.FAILED, DeliveryStatus.DELETED})


def advanced(held: DeliveryStatus | None, reported: DeliveryStatus) -> DeliveryStatus:
    """The status to hold after *reported* came. None: nothing was known yet."""
    if held is None:
        return reported
    if held in _FINAL:
        return held
    if reported is DeliveryStatus.FAILED:
        return held if held in _ARRIVED else reported
    if reported is DeliveryStatus.DELETED:
        return reported
    return reported if _RANK[reported] > _RANK[held] else held
