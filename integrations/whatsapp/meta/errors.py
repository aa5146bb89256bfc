"""The Graph API's error codes, classified. Source: Meta, "Cloud API error codes", read 2026-11.

A known code says that the message was refused, whatever the HTTP status. A 5xx without one comes from something in
front of the service, and then nobody knows whether the message was taken.
"""

from __future__ import annotations

import re
from typing import Any

from integrations.channels.failures import SendFailed, SendFailureKind
from integrations.whatsapp.reading import clean, line, mapping, number

_BY_KIND: dict[SendFailureKind, set[int]] = {
    SendFailureKind.TRANSIENT: {1, 2, 131000, 131016, 131057, 133004},
    SendFailureKind.RATE_LIMITED: {4, 17, 32, 613, 80007, 130429, 131048, 131064},
    SendFailureKind.PAIR_LIMITED: {131056},
    SendFailureKind.OUTSIDE_WINDOW: {131047},
    SendFailureKind.RECIPIENT_FINAL: {131026, 131021, 131030, 130472, 131049, 131050},
    SendFailureKind.OURS: {
        *(0, 3, 10, 100, 190, 200, 368, 33),
        *(131005, 131008, 131009, 131031, 131042, 131045, 131051, 131052, 131053, 133010),
        *(132000, 132001, 132005, 132007, 132012, 132015, 132016, 132068, 132069),
    },
}
GRAPH_CODES: dict[int, SendFailureKind] = {code: kind for kind, codes in _BY_KIND.items() for code in codes}


def kind_of(code: int | None) -> SendFailureKind | None:
    """What a code in an answer or in a failed status means; None for an unknown one. 200–299 are permissions."""
    if code is None:
        return None
    if 200 <= code <= 299 or 132000 <= code <= 132999:
        return SendFailureKind.OURS
    return GRAPH_CODES.get(code)


_TOKEN = re.compile(r"[\w|-]{32,}", re.ASCII)
"""Meta's words on a token that it does not take quote it; nothing else in its explanations is so long a word."""


def failure(status: int, body: Any, retry_after: float | None) -> SendFailed:
    """The failure that an answer with HTTP *status* ≥ 300 stands for."""
    error = mapping(body, "error")
    code = number(error.get("code"))
    kind = kind_of(code) or _kind_of_status(status, refused=bool(error))
    details = _TOKEN.sub(
        "[hidden]", line(mapping(error, "error_data").get("details")) or line(error.get("message")) or ""
    )
    trace = line(error.get("fbtrace_id"), most=60)
    explanation = ", ".join(
        filter(None, (f"HTTP {status}", f"code {code}" if code is not None else None, details, trace))
    )
    return SendFailed(kind, str(clean(explanation)), code=code, retry_after=retry_after)


def _kind_of_status(status: int, *, refused: bool) -> SendFailureKind:
    if status == 429:
        return SendFailureKind.RATE_LIMITED
    if status >= 500 or status == 408:
        return SendFailureKind.TRANSIENT if refused and status == 503 else SendFailureKind.UNKNOWN
    return SendFailureKind.OURS
