"""Confirmation: an open question is bound to exactly one action, for a time, and answered once.

The engine keeps the `PendingAction`; `settle` tells what an answer does to it. Everything is a function of what is
given: the clock too.
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from hashlib import sha256

from actions.gates import Event
from actions.yes_no import YesNo, understand
from schemas.actions import ActionRequest, AssistantActions, Confirmation, PendingAction
from schemas.turns import State

_PAYLOAD = re.compile(r"(confirm|cancel):([0-9a-f]{64})")


def canonical(request: ActionRequest) -> str:
    """*request* as JSON in one way only: sorted keys, no spaces, ASCII."""
    return json.dumps(request.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def action_digest(request: ActionRequest, key: str) -> str:
    """What a confirmation is bound to (64 hexadecimal digits).

    *key* is the effect's (conversation, message, index): the same action asked for again is another question, so a
    yes to the older one does nothing.
    """
    return sha256(f"{key}\n{canonical(request)}".encode()).hexdigest()


def confirm_payload(digest: str) -> str:
    """The id of the button that says yes; 72 bytes."""
    return f"confirm:{digest}"


def cancel_payload(digest: str) -> str:
    """The id of the button that says no."""
    return f"cancel:{digest}"


def pending_action(
    request: ActionRequest,
    *,
    key: str,
    by: Confirmation,
    asked_at: datetime,
    config: AssistantActions,
    asked_seq: int = 0,
    return_to: State = State.BOT,
) -> PendingAction:
    """The open question for *request*, in force as long as the assistant's configuration says."""
    seconds = config.approval_seconds if by is Confirmation.STAFF else config.confirmation_seconds
    return PendingAction(
        request=request,
        digest=action_digest(request, key),
        by=by,
        asked_at=asked_at,
        expires_at=asked_at + timedelta(seconds=seconds),
        asked_seq=asked_seq,
        return_to=return_to,
    )


def expired(pending: PendingAction, now: datetime) -> bool:
    """Whether an answer at *now* comes too late."""
    return now >= pending.expires_at


def settle(
    pending: PendingAction | None,
    *,
    text: str = "",
    payload: str | None = None,
    seq: int,
    by: Confirmation = Confirmation.CUSTOMER,
    now: datetime,
) -> Event | None:
    """What an answer is to the open question: an event for `gates.decide`, or None if it does nothing at all.

    *payload* is a pressed button's id, *seq* the message's number, *by* who answers. A button of another question, a
    message that was sent before the question, or an answer of somebody else never confirms. None is only for
    buttons: words are at least a message.
    """
    button = _PAYLOAD.fullmatch(payload) if payload else None
    if pending is None:
        return None if button else Event.MESSAGE
    if button is not None and (button[2] != pending.digest or by is not pending.by):
        return None
    if expired(pending, now):
        return Event.EXPIRED
    if button is not None:
        return Event.CONFIRMED if button[1] == "confirm" else Event.DECLINED
    if by is not pending.by or seq <= pending.asked_seq:
        return Event.MESSAGE
    return _EVENTS[understand(text)]


_EVENTS = {YesNo.YES: Event.CONFIRMED, YesNo.NO: Event.DECLINED, YesNo.OTHER: Event.MESSAGE}
