"""A turn in the record: taken under a fence, carried on output by output, finished by the first committed outcome.

The rules (reliability.md, 5 and 7): that a question is about to be put is committed before it is put; of several
attempts alive at once, the first to commit wins; what any attempt brought is kept in `raw_outputs`, used or not.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from schemas.actions import ActionRequest, Confirmation, PendingAction
from schemas.channels import is_sent
from schemas.conversations import Thread
from schemas.encoding import dump_json
from schemas.messages import WaitingMessage
from schemas.turns import OutputError, Source, State, Verdict
from storage import turn_statements as sql
from storage.database import Database


class Purpose(StrEnum):
    """Why the model is asked: for the answer, for a usable form of it, or for the words after an action's result."""

    ANSWER = "answer"
    REPAIR = "repair"
    CONCLUDE = "conclude"


_MAY_BE_ASKED = {
    Purpose.ANSWER: ["asking", "failed"],
    Purpose.REPAIR: ["asking", "failed", "invalid"],
    Purpose.CONCLUDE: ["asking", "failed", "resulted"],
}


class OpenQuestion(BaseModel):
    """An action that was asked back, as it stands in the record."""

    id: UUID
    name: str
    reason: str
    metadata: dict[str, Any]
    digest: str
    confirmation_by: Confirmation
    created_at: datetime
    expires_at: datetime
    asked_seq: int
    return_to: State

    @property
    def pending(self) -> PendingAction:
        """The question itself."""
        return PendingAction(
            request=ActionRequest(action=self.name, reason=self.reason, metadata=self.metadata),
            digest=self.digest,
            by=self.confirmation_by,
            asked_at=self.created_at,
            expires_at=self.expires_at,
            asked_seq=self.asked_seq,
            return_to=self.return_to,
        )


class TakenTurn(BaseModel):
    """The messages a turn answers, and its fence. `finished_at` is set if another attempt has answered already."""

    id: UUID
    conversation_id: UUID
    first_seq: int
    last_seq: int
    status: str
    attempt: int
    unsettled: int
    settled_attempts: int
    started_at: datetime
    state: State
    verdict: Verdict | None
    finished_at: datetime | None
    frontend_context_uuid: UUID | None
    backend_uuid: str | None
    ticket_id: str | None
    thread_url_slug: str | None
    pack_told: str | None
    assistant: str
    assistant_version: int | None
    channel: str
    account: str = ""
    conversation_state: State
    action_id: UUID | None
    question: OpenQuestion | None
    messages: list[WaitingMessage]

    @property
    def tries(self) -> int:
        """How often the question of this step was put, this attempt included."""
        return self.attempt - self.settled_attempts

    @property
    def last_taken_seq(self) -> int:
        """The newest message of this attempt (a stored answer may cover fewer: `last_seq`)."""
        return max(message.seq for message in self.messages)

    @property
    def is_sent(self) -> bool:
        """Whether the reply goes out over the channel."""
        return is_sent(self.channel, self.account)

    @property
    def counting(self) -> list[WaitingMessage]:
        """The messages that are to be answered."""
        return [message for message in self.messages if message.counts]

    @property
    def thread(self) -> Thread | None:
        """The thread that the turn's newest output stands in."""
        if self.frontend_context_uuid is None or self.backend_uuid is None:
            return None
        return Thread(
            frontend_context_uuid=self.frontend_context_uuid,
            backend_uuid=self.backend_uuid,
            thread_url_slug=self.thread_url_slug,
        )


class FailedAttempt(BaseModel):
    """A question that got no answer. `unknown`: an answer may exist that we did not get."""

    turn_id: UUID
    conversation_id: UUID
    attempt: int
    raw_output_id: UUID
    purpose: Purpose = Purpose.ANSWER
    failure: str
    explanation: str
    unknown: bool
    text: str = ""
    slot: UUID | None = None
    model_ms: int | None = None
    first_text_ms: int | None = None


class RawOutput(BaseModel):
    """What the model really wrote, with its verdict; all empty when the turn's outcome is not the model's."""

    raw_output_id: UUID | None = None
    purpose: Purpose = Purpose.ANSWER
    output_verdict: Verdict | None = None
    raw_text: str = ""
    errors: list[OutputError] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    details: dict[str, Any] = Field(default_factory=dict)
    output_backend_uuid: str | None = None
    prompt_pack: str | None = None
    slot: UUID | None = None
    model_ms: int | None = None
    first_text_ms: int | None = None


class InvalidOutput(BaseModel):
    """What was wrong with a raw output."""

    text: str = ""
    errors: list[OutputError] = Field(default_factory=list)


class ActionRecord(BaseModel):
    """An action as it enters the record; all empty when the outcome is none."""

    action_id: UUID | None = None
    action_index: int = 0
    action_name: str = ""
    action_reason: str = ""
    action_metadata: dict[str, Any] = Field(default_factory=dict)
    action_status: str = "planned"
    action_digest: str = ""
    request_hash: str = ""
    effect_key: str = ""
    confirmation_by: str | None = None
    expires_at: datetime | None = None
    return_to: State = State.BOT


class TurnChange(BaseModel):
    """What every write about a turn names: the turn, the fence, the messages covered, the thread."""

    turn_id: UUID
    conversation_id: UUID
    attempt: int
    last_seq: int
    frontend_context_uuid: UUID
    handler: str | None = None
    output: RawOutput = Field(default_factory=RawOutput)
    action: ActionRecord = Field(default_factory=ActionRecord)
    pending_id: UUID | None = None
    pending_status: str = "cancelled"

    def values(self) -> dict[str, Any]:
        """As the statements name them."""
        flat = self.model_dump(exclude={"output", "action"})
        flat |= self.output.model_dump() | self.action.model_dump()
        for name in ("errors", "notes", "details", "action_metadata", "sources", "reply_meta"):
            if name in flat:
                flat[name] = dump_json(flat[name])
        return flat


class KeptOutput(TurnChange):
    """An output that does not end the turn: `invalid`, or `acting` on the action in it."""

    status: str


class FinishedTurn(TurnChange):
    """The end of a turn. `reply` None: the customer is told nothing. `backend_uuid` only with an accepted answer."""

    status: str = "answered"
    state: State
    verdict: Verdict | None = None
    failure: str | None = None
    assistant_version: int | None = None
    reply_id: UUID
    reply: str | None
    reply_meta: dict[str, Any] = Field(default_factory=dict)
    sources: list[Source] = Field(default_factory=list)
    backend_uuid: str | None = None
    thread_url_slug: str | None = None
    collection_uuid: str | None = None
    account_name: str = ""
    ticket_id: str | None = None
    not_if: list[str] = Field(default_factory=list)
    """Statuses in which the turn is another step's to finish."""


class Turns:
    """Takes turns, carries them on, finishes them: one statement each."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(
        self, conversation_id: UUID, cursor: int, thread: UUID, limit: int, purpose: Purpose = Purpose.ANSWER
    ) -> TakenTurn | None:
        """The up to *limit* messages after *cursor* as a turn, marked as being asked; None if nothing waits.

        A turn whose status is another step's (or that is finished) is returned as it is.
        """
        row = await self._database.row(
            sql.TAKE,
            {
                "conversation_id": conversation_id,
                "cursor": cursor,
                "limit": limit,
                "frontend_context_uuid": thread,
                "may_be_asked": _MAY_BE_ASKED[purpose],
                "goes_on": purpose is not Purpose.ANSWER,
            },
        )
        return None if row is None else TakenTurn.model_validate(dict(row))

    async def look(self, conversation_id: UUID, first_seq: int, thread: UUID) -> TakenTurn:
        """A turn that was taken before, as it stands, without taking it."""
        values = {
            "conversation_id": conversation_id,
            "cursor": first_seq - 1,
            "limit": 1,
            "frontend_context_uuid": thread,
            "may_be_asked": [],
            "goes_on": True,
        }
        row = await self._database.row(sql.TAKE, values)
        assert row is not None
        return TakenTurn.model_validate(dict(row))

    async def newest_seq(self, conversation_id: UUID) -> int:
        """The number of the newest stored message."""
        row = await self._database.row(sql.NEWEST_SEQ, {"conversation_id": conversation_id})
        return 0 if row is None else int(row["last_seq"])

    async def last_invalid(self, turn_id: UUID) -> InvalidOutput:
        """The output that a repair is to quote."""
        row = await self._database.row(sql.LAST_INVALID, {"turn_id": turn_id})
        return InvalidOutput() if row is None else InvalidOutput.model_validate(dict(row))

    async def settle_failed(self, failed: FailedAttempt) -> None:
        """Records that this attempt is over without an answer, and what had come by then."""
        values = failed.model_dump(exclude={"unknown"})
        await self._database.rows(sql.SETTLE_FAILED, {**values, "unsettled": int(failed.unknown)})

    async def keep(self, output: KeptOutput) -> bool:
        """Commits an output and goes on; False if the turn is no longer this attempt's."""
        return await self._won(sql.KEEP_OUTPUT, output.values())

    async def confirm_pending(self, change: TurnChange, decided_by: str) -> bool:
        """Plans the action that was asked back; False if the turn is no longer this attempt's."""
        names = ("turn_id", "attempt", "last_seq", "handler", "pending_id")
        values = {name: getattr(change, name) for name in names}
        return await self._won(sql.CONFIRM_PENDING, {**values, "decided_by": decided_by})

    async def finish(self, turn: FinishedTurn) -> bool:
        """Commits the outcome; False if another attempt's was committed first (this output is kept all the same)."""
        return await self._won(sql.FINISH, turn.values())

    async def _won(self, statement: str, values: dict[str, Any]) -> bool:
        row = await self._database.row(statement, values)
        assert row is not None
        return bool(row["won"])
