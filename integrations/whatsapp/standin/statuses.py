"""Delivery statuses come repeated and out of order; what we show only moves forward.

`queued → sent → delivered → read`, or `failed`. Rules:
* a status of a lower rank than the one held changes nothing (READ, then SENT);
* FAILED replaces only what never arrived (QUEUED, SENT), for a message that was delivered cannot fail any more;
* FAILED and DELETED are final: staff may have been told by then. DELIVERED after FAILED is a contradiction.
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
