"""A turn's life cycle, as the database records it.

claimed ──slot──▶ asking ──fail──▶ failed ──claim──▶ claimed      each claim is an attempt more
  │ commit: one step; within it the first committed output wins
  ├─▶ invalid ──claim──▶ claimed (purpose repair)
  ├─▶ acting ──effect's result──▶ resulted ──claim──▶ claimed (purpose conclude)
  │      └─commit─▶ answered
  ├─▶ answered │ apologised │ held │ withheld    the end: `finished_at` is set
  │              withheld ──told──▶ answered     what was done: its words leave once the bot has the conversation
  └─▶ reopened ──claim──▶ claimed                the owner changed meanwhile and is the bot again: from the beginning
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel


class TurnStatus(StrEnum):
    """Where a turn stands. Values are stored, so they never change their meaning."""

    CLAIMED = "claimed"  #: an attempt has it, or it waits for its account; the prompt is not put
    ASKING = "asking"  #: an attempt may have put the prompt
    FAILED = "failed"  #: the last attempt ended without an answer
    INVALID = "invalid"  #: the output cannot be used; the model is to be asked again
    ACTING = "acting"  #: an accepted action is under way
    RESULTED = "resulted"  #: the action's result is there; the model is to say the final words
    ANSWERED = "answered"  #: the end, with a reply
    APOLOGISED = "apologised"  #: the end: the tries were used up
    HELD = "held"  #: the end: kept, and nothing is said
    WITHHELD = "withheld"  #: the end: another owner has the conversation; what came is kept, and not sent
    REOPENED = "reopened"  #: what came is not used, for the conversation started over meanwhile; it is asked again


class TurnFailure(StrEnum):
    """Why a turn has no answer, where no model call failed (that is a `schemas.failures.ModelFailureKind`).

        claimed │ asking ──stop──▶ failed (cancelled) ──claim──▶ claimed       the next message wakes the run
        not finished ──▶ held (merged │ erased)                                the end: nobody is to answer it

    A turn that is `held` without one waits for somebody. Values are stored, so they never change their meaning.
    """

    MERGED = "merged"  #: its messages are answered in the conversation that goes on
    ERASED = "erased"  #: the customer is erased
    CANCELLED = "cancelled"  #: an operator cancelled the run while it asked


class Purpose(StrEnum):
    """Why the model is asked: for the answer, for a usable form of it, or for the words after an action's result."""

    ANSWER = "answer"
    REPAIR = "repair"
    CONCLUDE = "conclude"


@dataclass(frozen=True)
class TurnFence:
    """What a commit names: the turn, the step it belongs to, the owner's version it was claimed under, and the messages
    and thread it covers.

    `from_statuses`: a step that asks commits from any of its own, the end of an action from `acting`.
    """

    turn_id: UUID
    conversation_id: UUID
    step: int
    attempt: int
    last_seq: int
    frontend_context_uuid: UUID
    owner_version: int
    from_statuses: tuple[TurnStatus, ...] = (TurnStatus.CLAIMED, TurnStatus.ASKING, TurnStatus.FAILED)
    newest_seq: int = 0
    """The conversation's newest message at the claim: with the next one a yes in plain words is decided anew."""
    merges: int = 0
    """How often another conversation had been merged into this one, or waiting words had been revised: with the next
    time an answer to a question is decided anew, for what was written there may say otherwise."""
    merges_told: datetime | None = None
    """Conversations merged by then are told of in this step's prompt, or were in an earlier one of its turn."""
    lost_thread: UUID | None = None
    """The thread that upstream forgot, and that this step goes on without."""


class TurnAtStep(BaseModel):
    """A turn as it stands at one of its steps: what the commit that ends the step is fenced by."""

    id: UUID
    conversation_id: UUID
    last_seq: int
    status: TurnStatus
    step: int
    attempt: int
    owner_version: int
    """The owner's when this step was claimed, or after the commit that ended it."""
    frontend_context_uuid: UUID | None

    def fence_in(self, thread: UUID, last_seq: int) -> TurnFence:
        """The fence of a commit that covers the messages up to *last_seq* and goes on in *thread*."""
        return TurnFence(
            turn_id=self.id,
            conversation_id=self.conversation_id,
            step=self.step,
            attempt=self.attempt,
            last_seq=last_seq,
            frontend_context_uuid=thread,
            owner_version=self.owner_version,
        )
