"""Confirmation: an open question is bound to exactly one action, for a time, and answered once.

The database keeps the `PendingConfirmation`; `interpret` tells what an answer does to it (what else was said since the
question, by the customer or by us, and by when the channel had all of it, comes with `storage.turns.Turns.claim`;
COMMIT looks once more whether it is still open, and whether a yes in words is the newest). Everything is a function of
what is given: the clock too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from actions.yes_no import YesNo, understand
from schemas.actions import ActionRequest, AssistantActions, Confirmation, PendingConfirmation
from schemas.messages import WaitingMessage
from schemas.transitions import Event

_NOT_YET = datetime(9999, 12, 31, tzinfo=UTC)
"""`accepted_at` of a question that the channel has not taken: no words answer it."""
_PAYLOAD = re.compile(r"(confirm|cancel):([0-9a-f]{64})")


def canonical(request: ActionRequest) -> str:
    """What is asked for as JSON in one way only: sorted keys, no spaces, ASCII. `pack` asks for nothing."""
    return json.dumps(
        request.model_dump(mode="json", exclude={"pack"}), sort_keys=True, separators=(",", ":"), ensure_ascii=True
    )


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


def digest_of(payload: str | None) -> str | None:
    """Which question a button of ours belongs to; None: it is none of ours."""
    button = _PAYLOAD.fullmatch(payload) if payload else None
    return button[2] if button else None


def pending_action(
    request: ActionRequest,
    *,
    key: str,
    by: Confirmation,
    asked_at: datetime,
    config: AssistantActions,
    asked_seq: int = 0,
) -> PendingConfirmation:
    """The open question for *request*, in force as long as the assistant's configuration says."""
    seconds = config.approval_seconds if by is Confirmation.STAFF else config.confirmation_seconds
    return PendingConfirmation(
        request=request,
        digest=action_digest(request, key),
        by=by,
        expires_at=asked_at + timedelta(seconds=seconds),
        asked_seq=asked_seq,
    )


def expired(pending: PendingConfirmation, now: datetime) -> bool:
    """Whether an answer at *now* comes too late."""
    return now >= pending.expires_at


def interpret(
    pending: PendingConfirmation | None,
    *,
    text: str = "",
    payload: str | None = None,
    written: bool = True,
    quotes: str | None = None,
    seq: int,
    sent_at: datetime | None = None,
    arrived_at: datetime | None = None,
    by: Confirmation = Confirmation.CUSTOMER,
    now: datetime,
) -> Event | None:
    """What one answer is to the open question: an event for `gates.evaluate`, or None if it does nothing at all.

    *payload* is a pressed button's id, *written* whether the text is the customer's own words (not a button's title,
    not a caption), *quotes* the message that it answers to, *seq* the message's number, *sent_at* the channel's own
    time of it, else *arrived_at* ours, *by* who answers. Any other button than this question's, words that answer to
    another message, a message from before the question, an answer of somebody else, a yes in words after the customer's
    other words, or after ours unless it quotes the question, never confirms. None is only for buttons of other
    questions: all else is at least a message.
    """
    button = _PAYLOAD.fullmatch(payload) if payload else None
    if pending is None:
        return None if button else Event.MESSAGE
    if button is not None and (button[2] != pending.digest or by is not pending.by):
        return None
    if button is None and (payload or not written or (quotes is not None and quotes not in pending.sent_as)):
        return Event.MESSAGE
    answer = _BUTTONS[button[1]] if button is not None else _EVENTS[understand(text)]
    if answer is Event.MESSAGE:
        return answer
    if button is None and (by is not pending.by or not _since(pending, seq, sent_at, arrived_at)):
        return Event.MESSAGE
    if button is None and answer is Event.CONFIRMED and pending.said_otherwise:
        return Event.MESSAGE
    if button is None and pending.followed and quotes is None:
        return Event.MESSAGE
    return Event.EXPIRED if expired(pending, now) else answer


def interpret_all(pending: PendingConfirmation | None, said: Sequence[WaitingMessage], now: datetime) -> Event | None:
    """What messages that are answered together are to the open question: they count only if all say the same.

    A yes beside anything else is in doubt, and the model's to read. None: nothing but buttons of other questions.
    """
    events = {
        interpret(
            pending,
            text=each.text,
            payload=each.choice_id,
            written=each.is_written,
            quotes=each.reply_to,
            seq=each.seq,
            sent_at=each.sent_at,
            arrived_at=each.stored_at,
            now=now,
        )
        for each in said
    }
    return events.pop() if len(events) == 1 else Event.MESSAGE


def means_something_of_ours(pending: PendingConfirmation, said: Sequence[WaitingMessage]) -> bool:
    """A plain yes or no, and newer words of ours than the question's may be meant: it says nothing against either."""
    return pending.followed and all(each.is_written and understand(each.text) is not YesNo.OTHER for each in said)


def _since(pending: PendingConfirmation, seq: int, sent_at: datetime | None, arrived_at: datetime | None) -> bool:
    """Whether a message was written after the customer could have read the question.

    Channels tell whole seconds, so the second in which the question was accepted counts as before.
    """
    if seq <= pending.asked_seq:
        return False
    if pending.accepted_at is None:
        return True
    if sent_at is None:
        return pending.accepted_at < _NOT_YET if arrived_at is None else arrived_at >= pending.accepted_at
    return sent_at.replace(microsecond=0) > pending.accepted_at.replace(microsecond=0)


_EVENTS = {YesNo.YES: Event.CONFIRMED, YesNo.NO: Event.DECLINED, YesNo.OTHER: Event.MESSAGE}
_BUTTONS = {"confirm": Event.CONFIRMED, "cancel": Event.DECLINED}
