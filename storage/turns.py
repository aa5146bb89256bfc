"""Turns in the database: claimed for a step, then completed by the step's first commit, or failed.

That a question is about to be put is committed before it is put. Of several attempts at one step the first to commit
wins; what any attempt brought is kept in `raw_outputs`, used or not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from pydantic import BaseModel, Field

from schemas.actions import ActionRequest, Confirmation, PendingConfirmation
from schemas.channels import needs_delivery
from schemas.conversations import NextStep, Thread, TurnOutcome
from schemas.failures import NOT_REACHED, WAITED_OUT, ModelFailureKind
from schemas.messages import WaitingMessage
from schemas.standing import Standing
from schemas.turn_decisions import OutputRecord, TurnDecision
from schemas.turn_record import Purpose, TurnAtStep, TurnFence, TurnStatus
from schemas.turns import OutputError, State, Verdict
from storage import turn_statements as sql
from storage.database import Database
from storage.turn_commits import commit_values

_NEXT_STEPS = {
    TurnStatus.INVALID: NextStep.REPAIR,
    TurnStatus.ACTING: NextStep.PERFORM,
    TurnStatus.RESULTED: NextStep.CONCLUDE,
    TurnStatus.REOPENED: NextStep.AGAIN,
}
"""What the workflow does next with a turn in this status; with any other, nothing."""


class StoredConfirmation(BaseModel):
    """An action that the customer was asked to confirm, as it is in the database."""

    id: UUID
    name: str
    reason: str
    metadata: dict[str, Any]
    digest: str
    confirmation_by: Confirmation
    created_at: datetime
    expires_at: datetime
    asked_seq: int
    accepted_at: datetime | None
    said_otherwise: bool = False

    @property
    def pending(self) -> PendingConfirmation:
        """The question itself."""
        return PendingConfirmation(
            request=ActionRequest(action=self.name, reason=self.reason, metadata=self.metadata),
            digest=self.digest,
            by=self.confirmation_by,
            asked_at=self.created_at,
            expires_at=self.expires_at,
            asked_seq=self.asked_seq,
            accepted_at=self.accepted_at,
            said_otherwise=self.said_otherwise,
        )


class TurnRow(TurnAtStep):
    """How far a turn has come."""

    first_seq: int
    purpose: Purpose
    commit_id: UUID | None
    state: State
    verdict: Verdict | None
    finished_at: datetime | None
    backend_uuid: str | None
    newest_backend_uuid: str | None
    thread_url_slug: str | None
    ticket_id: str | None
    channel: str
    account: str = ""
    standing: Standing
    """The conversation's, as of this row."""
    waiting_seq: int | None = None
    """The newest message of kind `held` beyond the turn: what was held is to be answered."""
    action_id: UUID | None

    @property
    def needs_delivery(self) -> bool:
        """Whether the reply goes out over the channel."""
        return needs_delivery(self.channel, self.account)

    @property
    def thread(self) -> Thread | None:
        """Where the conversation goes on: after its end from what was accepted, before that from the newest output."""
        backend_uuid = self.backend_uuid if self.finished_at else self.newest_backend_uuid
        if self.frontend_context_uuid is None or backend_uuid is None:
            return None
        return Thread(frontend_context_uuid=self.frontend_context_uuid, backend_uuid=backend_uuid)

    @property
    def outcome(self) -> TurnOutcome:
        """How far the turn has come: the one place where it is put in the workflow's words."""
        finished = self.finished_at is not None
        return TurnOutcome(
            cursor=self.last_seq if finished else self.first_seq - 1,
            turn_id=self.id,
            state=self.state if finished else self.standing.state,
            standing=self.standing,
            verdict=self.verdict,
            thread=self.thread,
            step=_NEXT_STEPS.get(self.status, NextStep.FINISHED),
            action_id=self.action_id,
            ticket_id=self.ticket_id,
            needs_delivery=finished and self.needs_delivery,
            waiting_seq=self.waiting_seq,
        )


class ClaimedTurn(TurnRow):
    """A turn with all that its next step needs. One that is not `claimed` is nobody's to ask now.

    `thread_ended`: its thread is over, by a reset. `closed_seq`: the newest message when the conversation was last
    closed from outside. `untold_merges`: when the last conversation was merged into this one of which its thread
    was not told. `something_done`: an effect of this turn is confirmed. `pack_told`: the version its thread
    knows; `pack_pasted`: the version last confirmed as pasted into the assistant's Space. `final_failures`: attempts
    that surely failed upstream. `unreachable_since`: when the outage began, that is, the first time that nobody was
    reached upstream since somebody was.
    """

    thread_ended: bool
    closed_seq: int = 0
    untold_merges: datetime | None = None
    unknown_attempts: int
    times_asked: int
    repairs: int
    rounds: int
    started_at: datetime
    pack_told: str | None
    pack_pasted: str | None
    assistant: str
    assistant_version: int | None
    actions: int
    something_done: bool
    final_failures: int
    unreachable_since: datetime | None = None
    question: StoredConfirmation | None
    messages: list[WaitingMessage]

    @property
    def step_attempt(self) -> int:
        """How often the question of this step was put, this attempt's included."""
        return self.times_asked + 1

    @property
    def last_claimed_seq(self) -> int:
        """The newest message of this attempt (a stored answer may cover fewer: `last_seq`)."""
        return max(message.seq for message in self.messages)

    @property
    def counting(self) -> list[WaitingMessage]:
        """The messages that are to be answered."""
        return [message for message in self.messages if message.counts]

    @property
    def said(self) -> list[WaitingMessage]:
        """The customer's words, those over a limit too: they are not answered, and may still say otherwise."""
        return [message for message in self.messages if message.is_said]

    @property
    def slot(self) -> UUID:
        """The account's slot of this attempt: always the same, so that whoever ends the attempt can free it."""
        return uuid5(self.id, f"slot {self.attempt}")

    def fence(self, thread: Thread, lost_thread: UUID | None = None) -> TurnFence:
        fence = self.fence_in(thread.frontend_context_uuid, self.last_claimed_seq)
        return replace(fence, merges_told=self.untold_merges, lost_thread=lost_thread)


@dataclass(frozen=True)
class Committed:
    """The turn after a commit; *won* is false when another attempt's outcome stands, which is then *turn*.

    What was decided is withheld, or the turn reopened, where the conversation has another owner by then.
    """

    turn: TurnRow
    won: bool


class FailedAttempt(BaseModel):
    """A question that got no answer. `unknown`: an answer may exist that we did not get.

    `anew`: it was dropped for one with newer messages, so the turn begins again. `given_back`: nobody was reached, so
    it counts neither as a try nor as one of the account's calls.
    """

    turn_id: UUID
    conversation_id: UUID
    attempt: int
    raw_output_id: UUID
    purpose: Purpose
    failure: str
    explanation: str
    unknown: bool
    anew: bool = False
    given_back: bool = False
    text: str = ""
    slot: UUID | None = None
    model_ms: int | None = None
    first_text_ms: int | None = None


class Position(BaseModel):
    """Where a conversation is by now: its newest message's number, and its owner's version."""

    newest_seq: int
    owner_version: int


class InvalidOutput(BaseModel):
    """What was wrong with a raw output."""

    text: str = ""
    errors: list[OutputError] = Field(default_factory=list)


class RecapLine(BaseModel):
    """One message of the conversation so far."""

    direction: str
    author: str
    text: str


class Turns:
    """Claim → commit · fail, one statement each."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, conversation_id: UUID, cursor: int, thread: UUID, limit: int) -> ClaimedTurn | None:
        """The up to *limit* messages after *cursor* as a turn, claimed for its next step; None if nothing waits.

        A turn under way is claimed for its next step; one whose action is under way, or that is finished, is returned
        as it is.
        """
        values = {
            "conversation_id": conversation_id,
            "cursor": cursor,
            "limit": limit,
            "frontend_context_uuid": thread,
            "final_failures": [ModelFailureKind.UPSTREAM, ModelFailureKind.NO_ANSWER],
            "waited_out": list(WAITED_OUT),
            "not_reached": list(NOT_REACHED),
        }
        row = await self._database.row(sql.CLAIM, values)
        return None if row is None else ClaimedTurn.model_validate(dict(row))

    async def get(self, turn_id: UUID) -> TurnRow:
        """A turn as it stands."""
        row = await self._database.row(sql.GET, {"turn_id": turn_id})
        assert row is not None
        return TurnRow.model_validate(dict(row))

    async def commit(
        self,
        fence: TurnFence,
        decision: TurnDecision,
        commit_id: UUID,
        output: OutputRecord | None = None,
        kept: str | None = None,
    ) -> Committed:
        """Commits one step's outcome, unless the step has one. Safe to repeat under the same *commit_id*.

        *kept*: words of what the turn has done already, for a turn that ends in silence: they are told later.
        """
        row = await self._database.row(sql.COMMIT, commit_values(fence, decision, commit_id, output, kept))
        turn = TurnRow.model_validate(dict(row)) if row is not None else await self.get(fence.turn_id)
        return Committed(turn, won=turn.commit_id == commit_id)

    async def resulted(self, fence: TurnFence) -> None:
        """The turn's action is done, and its result goes back to the model: the next step concludes. Repeatable."""
        await self._database.rows(sql.RESULTED, {"turn_id": fence.turn_id, "step": fence.step})

    async def fail(self, failed: FailedAttempt) -> None:
        """Records that this attempt is over without an answer, and what had come by then."""
        values = failed.model_dump(exclude={"unknown"})
        await self._database.rows(sql.FAIL, {**values, "unknown_attempts": int(failed.unknown)})

    async def recap(self, turn: TurnRow, limit: int) -> list[RecapLine]:
        """Up to *limit* messages before the turn, oldest first: what a new thread must be told."""
        values = {"conversation_id": turn.conversation_id, "before_seq": turn.first_seq, "limit": limit}
        rows = await self._database.rows(sql.RECAP, values)
        return [RecapLine.model_validate(dict(row)) for row in reversed(rows)]

    async def merged_recap(self, turn: ClaimedTurn, limit: int) -> list[RecapLine]:
        """Up to *limit* messages, oldest first, of conversations merged into the turn's, of which its thread knows
        nothing."""
        if turn.untold_merges is None:
            return []
        values = {"conversation_id": turn.conversation_id, "until": turn.untold_merges, "limit": limit}
        rows = await self._database.rows(sql.MERGED_RECAP, values)
        return [RecapLine.model_validate(dict(row)) for row in reversed(rows)]

    async def position(self, conversation_id: UUID) -> Position:
        """What makes an answer useless that is still to come."""
        row = await self._database.row(sql.POSITION, {"conversation_id": conversation_id})
        assert row is not None
        return Position.model_validate(dict(row))

    async def last_invalid(self, turn_id: UUID) -> InvalidOutput:
        """The output that a repair is to quote."""
        row = await self._database.row(sql.LAST_INVALID, {"turn_id": turn_id})
        return InvalidOutput() if row is None else InvalidOutput.model_validate(dict(row))
