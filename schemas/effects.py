"""The ledger's words: an effect's life cycle, how an unknown outcome is recovered, and effects as people see them.

    planned ──claim──▶ sending ──complete──▶ confirmed │ unknown
       ▲                 │   └─────fail────▶ failed
       └────release──────┘        release: surely nothing was done

    sending ──claim──▶ sending            its claimer is gone; what may follow is its recovery's to say
    sending ──clear──▶ sending            looked up: no attempt before this one was executed
    unknown ──resolve──▶ confirmed │ failed           a human's word, once

Of a part of a reply the channel reports by itself, sooner or later:

    sending │ unknown ──status──▶ confirmed ──status: failed──▶ failed ──release──▶ planned
    unknown ──claim──▶ sending            the one resend

What belongs to a version of the conversation's owner is claimed under it only:

    planned ──claim──▶ failed (withheld)  another owner has the conversation by now
    confirmed ──end of turn──▶ failed (withheld)      it was a change of the owner, and another came first
    failed (withheld) ──renew──▶ planned  a part, once the bot has the conversation and its words are told after all
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field


class EffectStatus(StrEnum):
    """Where an effect stands. Values are stored, so they never change their meaning."""

    PLANNED = "planned"  #: decided; nobody has begun it, or who had surely did nothing
    SENDING = "sending"  #: somebody has begun it under the newest fence
    CONFIRMED = "confirmed"  #: done
    FAILED = "failed"  #: surely not done, and not tried again by itself
    UNKNOWN = "unknown"  #: nobody knows; a human settles it, or the other side's own report

    @property
    def is_settled(self) -> bool:
        return self not in (EffectStatus.PLANNED, EffectStatus.SENDING)


class EffectFailure(StrEnum):
    """Why an effect is not done, or is planned again, where it is no channel's own reason: parts also have those of
    `integrations.channels.failures.SendFailureKind`. Values are stored, so they never change their meaning.

        sending ──release──▶ planned (not_done │ gave_way)         surely nothing was done: the next attempt may
        sending ──fail──▶ failed (failed)
        planned │ confirmed ──▶ failed (withheld) ──renew──▶ planned       see above
        planned │ failed │ unknown ──▶ failed (superseded)         a part: other words go in its place
        planned │ sending ──sweep──▶ failed │ unknown (abandoned)
        planned │ sending ──▶ failed │ unknown (erased)            a part
        sending ──stop──▶ unknown (unknown)                        a part: its run was cancelled meanwhile
    """

    NOT_DONE = "not_done"  #: a try failed before anything was done
    GAVE_WAY = "gave_way"  #: its claim took so long that a take-over may have passed it
    FAILED = "failed"  #: the action's handler says so, or none may do it
    WITHHELD = "withheld"  #: another owner has the conversation
    SUPERSEDED = "superseded"  #: its words were replaced before they left
    ABANDONED = "abandoned"  #: nobody carried it on
    ERASED = "erased"  #: the customer is erased
    UNKNOWN = "unknown"  #: it was cancelled while it was sent


class Recovery(StrEnum):
    """What may follow an attempt of which nobody knows what came of it."""

    REPEAT = "repeat"  #: the same key, or a call that only reads: doing it again does it once
    LOOK_UP = "look_up"  #: the other side can be asked for our key; what it never got may be done
    REPORT = "report"  #: the other side reports by itself, with our id: it is waited for
    NONE = "none"  #: nothing: only a human finds out


class LedgerRow(BaseModel):
    """One thing that is visible outside, with all that is needed to carry it on.

    `fence`: each claim raises it; who holds an older one writes nothing. `unknown_attempts`: those of which nobody
    knows what came. `not_before`: nobody takes it up before that. `deadline`: no further try after it.
    `owner_version`: the owner's that it belongs to; None for what staff said or decided, which any owner lets happen.
    """

    id: UUID
    key: str
    kind: str
    conversation_id: UUID
    turn_id: UUID | None = None
    message_id: UUID | None = None
    owner_version: int | None = None
    status: EffectStatus
    request: dict[str, Any] = Field(default_factory=dict)
    request_hash: str = ""
    recovery: Recovery = Recovery.NONE
    fence: int = 0
    attempts: int = 0
    unknown_attempts: int = 0
    not_before: datetime | None = None
    deadline: datetime | None = None
    claimed_at: datetime | None = None
    result: dict[str, Any] | None = None
    external_id: str | None = None
    failure: str | None = None
    """An `EffectFailure`, or a channel's own reason."""
    error: dict[str, Any] | None = None
    settled_at: datetime | None = None


class Claim(LedgerRow):
    """A row after a claim. *won*: it is ours under its fence; else it stands as somebody else has left it.

    *withheld*: it is nobody's to do, for another owner has the conversation by now. *is_over*: nor is it now, for it
    says that an action waits for a yes, which does no more. *claimed_before*: when the attempt before this one began.
    *phone*, *user_id*: of a part, to whom it goes as of now: a number may have changed hands since it was planned.
    """

    won: bool
    withheld: bool
    is_over: bool = False
    status_before: EffectStatus
    claimed_before: datetime | None = None
    phone: str | None = None
    user_id: str | None = None


class EffectOutcome(BaseModel):
    """What came of an effect. `result` is for the model or the customer; `error` for staff."""

    status: EffectStatus
    result: dict[str, Any] = Field(default_factory=dict)
    external_id: str | None = None
    error: str | None = None


class Effect(BaseModel):
    """An effect as people see it. `error` is for staff; `settled_by` names the person who settled what nobody knew."""

    id: UUID
    key: str
    conversation_id: UUID
    turn_id: UUID | None
    kind: str
    status: EffectStatus
    attempt: int
    external_id: str | None
    error: str | None
    planned_at: datetime
    settled_at: datetime | None
    settled_by: str | None
    note: str | None


class EffectList(BaseModel):
    """Newest first. `next_before` is None on the last page."""

    effects: list[Effect]
    next_before: str | None
