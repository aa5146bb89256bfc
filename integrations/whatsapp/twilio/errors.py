"""Twilio's error codes, classified. Source: Twilio, "Error and warning dictionary", read 2026-11."""

from __future__ import annotations

from typing import Any

from integrations.channels.failures import SendFailed, SendFailureKind
from integrations.whatsapp.reading import clean, line, mapping, number

_BY_KIND: dict[SendFailureKind, set[int]] = {
    SendFailureKind.TRANSIENT: {20500, 20503, 63012, 63021, 63022, 63023, 30008},
    SendFailureKind.RATE_LIMITED: {20429, 14107, 30001, 63018, 63017},
    SendFailureKind.OUTSIDE_WINDOW: {63016},
    SendFailureKind.RECIPIENT_FINAL: {21211, 21610, 21614, 63003, 63024, 63032, 63033, 63049, 30003, 30005, 30006},
    SendFailureKind.OURS: {
        *(20003, 20404, 20422, 21212, 21408, 21602, 21603, 21606, 21617, 21619, 21620, 21655, 21656),
        *(63001, 63005, 63007, 63010, 63013, 63015, 63019, 63020, 63025, 63027, 63028, 63029, 63030, 63059),
    },
}
TWILIO_CODES: dict[int, SendFailureKind] = {code: kind for kind, codes in _BY_KIND.items() for code in codes}


def kind_of(code: int | None) -> SendFailureKind | None:
    """What a code in an answer or in a failed status means; None for an unknown one."""
    return TWILIO_CODES.get(code) if code is not None else None


def failure(status: int, body: Any, retry_after: float | None) -> SendFailed:
    """The failure that an answer with HTTP *status* ≥ 300 stands for."""
    error = mapping(body)
    code = number(error.get("code"))
    said = (f"HTTP {status}", f"code {code}" if code is not None else None, line(error.get("message")))
    kind = kind_of(code) or _kind_of_status(status)
    return SendFailed(kind, str(clean(", ".join(filter(None, said)))), code=code, retry_after=retry_after)


def _kind_of_status(status: int) -> SendFailureKind:
    if status == 429:
        return SendFailureKind.RATE_LIMITED
    return SendFailureKind.UNKNOWN if status >= 500 or status == 408 else SendFailureKind.OURS
