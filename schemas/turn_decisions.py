"""What one step of a turn decides: a closed set, matched in one place (`storage.turn_commits.end_of`).

A decision holds all that its commit writes and nothing else; what the model wrote goes along as an `OutputRecord`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from schemas.actions import ActionRequest, ActionStatus, Confirmation
from schemas.effects import Recovery
from schemas.failures import ModelFailureKind
from schemas.standing import Owner
from schemas.transitions import Event
from schemas.turn_record import Purpose, TurnStatus
from schemas.turns import OutputError, Source, Verdict


@dataclass(frozen=True)
class PlannedAction:
    """An accepted, asked or refused action with its place in the ledger: conversation / first message / index."""

    id: UUID
    index: int
    request: ActionRequest
    digest: str
    request_hash: str
    effect_key: str
    side_effect: bool
    """False for what only reads: repeating it, or failing after it, denies nothing."""
    recovery: Recovery = Recovery.NONE
    """What may follow an attempt of unknown outcome, as its handler declares."""
    stands: bool = True
    """Done, it outlasts the turn: what was asked is not asked again."""


@dataclass(frozen=True)
class ClosedQuestion:
    """An open question to the customer that this turn ends; *why*: declined, cancelled, expired or refused."""

    id: UUID
    why: Event

    @property
    def status(self) -> ActionStatus:
        """The action's, afterwards."""
        return ActionStatus.CANCELLED if self.why is Event.DECLINED else ActionStatus(self.why.value)


@dataclass(frozen=True)
class Move:
    """The owner changes with this commit, as the gate of *why* says.

    `drops_question`: a question that is open to the customer then ends, one that a merge has brought meanwhile too.
    `effect_key`: the effect that this is; where another owner has the conversation by then, it was not done.
    """

    why: Event
    to: Owner
    drops_question: bool = False
    effect_key: str | None = None


@dataclass(frozen=True)
class GiveReply:
    """The turn ends with these words.

    `accepted`: the thread goes on from the output they come from. `refused` is an action that was not allowed.
    """

    text: str
    move: Move | None = None
    status: TurnStatus = TurnStatus.ANSWERED
    verdict: Verdict | None = None
    accepted: bool = False
    sources: tuple[Source, ...] = ()
    refused: PlannedAction | None = None
    closed: ClosedQuestion | None = None
    failure: ModelFailureKind | None = None
    ticket_id: str | None = None


@dataclass(frozen=True)
class Hold:
    """The turn ends in silence: the messages are kept and wait for somebody, the model is not asked (any more)."""

    status: TurnStatus = TurnStatus.HELD


@dataclass(frozen=True)
class Repair:
    """The output cannot be used; the next step asks again."""

    move: Move | None = None


@dataclass(frozen=True)
class PerformAction:
    """The action enters the ledger; the next step does it."""

    action: PlannedAction
    handler: str
    closed: ClosedQuestion | None = None
    move: Move | None = None


@dataclass(frozen=True)
class PerformConfirmed:
    """The customer said yes: the action they were asked about enters the ledger as this turn's.

    `in_words`: no button was pressed, so a message that comes before the commit leaves it in doubt.
    """

    question_id: UUID
    index: int
    handler: str
    in_words: bool


@dataclass(frozen=True)
class AskConfirmation:
    """The turn ends with a question: the action waits for a yes. `buttons` are ids by name, for the customer's."""

    text: str
    action: PlannedAction
    by: Confirmation
    expires_at: datetime
    buttons: dict[str, str] = field(default_factory=dict)
    closed: ClosedQuestion | None = None
    move: Move | None = None


@dataclass(frozen=True)
class NotBegun:
    """The turn's action was withdrawn before it began, for the conversation has another owner by now."""


TurnDecision = GiveReply | Hold | Repair | PerformAction | PerformConfirmed | AskConfirmation | NotBegun


@dataclass(frozen=True)
class OutputRecord:
    """What the model wrote in one step, and where: kept whatever follows. Times are milliseconds."""

    id: UUID
    purpose: Purpose
    verdict: Verdict
    text: str
    errors: tuple[OutputError, ...]
    notes: tuple[str, ...]
    details: Mapping[str, Any]
    """Fields of the wrapper's last message, kept as they came (`integrations.perplexity.privacy`)."""
    backend_uuid: str
    thread_url_slug: str | None
    account_name: str
    collection_uuid: str | None
    prompt_pack: str
    """The version of the pack that was in force: sent along, or pasted into the Space; `unknown` if nobody said."""
    pack_echoed: str | None
    """The version that the model says it works under, in an action."""
    pack_told: str | None
    """The version that the thread was told in a message; None where a Space holds the pack."""
    slot: UUID
    model_ms: int
    first_text_ms: int | None
