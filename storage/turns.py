"""A turn in the record: taken under a fence, settled by the first committed outcome, apologised for at the end.

The rules that the statements obey (reliability.md, 5 and 7): that a question is about to be put is committed before
it is put; of several attempts alive at once, the first to commit wins and the others' writes touch no row; what any
attempt brought is kept in `raw_outputs`, used or not.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from schemas.conversations import Thread
from schemas.encoding import dump_json
from schemas.messages import WaitingMessage
from schemas.turns import OutputError, Source, State, Verdict
from storage.database import Database

_TAKE = """
WITH waiting AS (
    SELECT id, seq, kind, text, stored_at, wants_stream, request_id FROM messages
     WHERE conversation_id = :conversation_id AND direction = 'in' AND seq > :cursor
     ORDER BY seq LIMIT :limit
), taken AS (
    INSERT INTO turns (conversation_id, first_seq, last_seq, status, frontend_context_uuid)
    SELECT :conversation_id, min(seq), max(seq), 'asking', :frontend_context_uuid FROM waiting HAVING count(*) > 0
    ON CONFLICT (conversation_id, first_seq) DO UPDATE SET
        attempt = turns.attempt + (turns.finished_at IS NULL)::int,
        unsettled = turns.unsettled + (turns.status = 'asking')::int,
        status = CASE WHEN turns.finished_at IS NULL THEN 'asking' ELSE turns.status END
    RETURNING *
)
SELECT taken.id, taken.conversation_id, taken.first_seq, taken.last_seq, taken.status, taken.attempt,
       taken.unsettled, taken.state,
       taken.verdict, taken.finished_at, taken.frontend_context_uuid, taken.backend_uuid, thread.thread_url_slug,
       conversation.assistant, conversation.channel, conversation.state AS conversation_state,
       (SELECT max(version) FROM configurations c WHERE c.assistant = conversation.assistant) AS assistant_version,
       (SELECT jsonb_agg(to_jsonb(waiting) ORDER BY seq) FROM waiting) AS messages
  FROM taken
  JOIN conversations conversation ON conversation.id = :conversation_id
  LEFT JOIN threads thread ON thread.frontend_context_uuid = taken.frontend_context_uuid
"""

_RAW_COLUMNS = """id, turn_id, conversation_id, attempt, verdict, errors, failure, explanation, text, details,
              backend_uuid, model_ms, first_text_ms"""

_SETTLE_FAILED = f"""
WITH settled AS (
    UPDATE turns SET status = 'failed', failure = :failure, unsettled = unsettled + :unsettled
     WHERE id = :turn_id AND attempt = :attempt AND status = 'asking' RETURNING id
), slot AS (UPDATE account_calls SET ended_at = now() WHERE id = :slot)
INSERT INTO raw_outputs ({_RAW_COLUMNS})
VALUES (:raw_output_id, :turn_id, :conversation_id, :attempt, NULL, '[]', :failure, :explanation, :text, '{{}}',
        NULL, :model_ms, :first_text_ms)
"""

_FINISH = f"""
WITH won AS (
    UPDATE turns SET status = :status, last_seq = :last_seq, state = :state, verdict = :verdict, failure = :failure,
           handler = :handler, assistant_version = :assistant_version, frontend_context_uuid = :frontend_context_uuid,
           backend_uuid = :backend_uuid, model_ms = :model_ms, first_text_ms = :first_text_ms, finished_at = now()
     WHERE id = :turn_id AND finished_at IS NULL RETURNING id
), conversation AS (
    UPDATE conversations SET cursor = greatest(cursor, :last_seq), turns = turns + 1, state = :state
     WHERE id = :conversation_id AND EXISTS (SELECT 1 FROM won) RETURNING id, channel
), reply AS (
    INSERT INTO messages (id, conversation_id, direction, author, channel, id_scope, text, sources, turn_id)
    SELECT :reply_id, id, 'out', 'assistant', channel, '', :reply, CAST(:sources AS jsonb), :turn_id
      FROM conversation WHERE CAST(:reply AS text) IS NOT NULL
), thread AS (
    INSERT INTO threads (frontend_context_uuid, conversation_id, backend_uuid, thread_url_slug, collection_uuid,
                         account_name, turns)
    SELECT :frontend_context_uuid, id, :backend_uuid, :thread_url_slug, :collection_uuid, :account_name, 1
      FROM conversation WHERE CAST(:backend_uuid AS text) IS NOT NULL
    ON CONFLICT (frontend_context_uuid) DO UPDATE SET backend_uuid = excluded.backend_uuid, updated_at = now(),
           thread_url_slug = coalesce(excluded.thread_url_slug, threads.thread_url_slug), turns = threads.turns + 1
), slot AS (UPDATE account_calls SET ended_at = now() WHERE id = :slot
), output AS (
    INSERT INTO raw_outputs ({_RAW_COLUMNS}, used)
    SELECT :raw_output_id, :turn_id, :conversation_id, :attempt, :verdict, CAST(:errors AS jsonb), NULL, NULL,
           :raw_text, CAST(:details AS jsonb), :backend_uuid, :model_ms, :first_text_ms, EXISTS (SELECT 1 FROM won)
     WHERE CAST(:raw_output_id AS uuid) IS NOT NULL
)
SELECT EXISTS (SELECT 1 FROM won) AS won
"""


class TakenTurn(BaseModel):
    """The messages a turn answers, and its fence. `finished_at` is set if another attempt has answered already."""

    id: UUID
    conversation_id: UUID
    first_seq: int
    last_seq: int
    status: str
    attempt: int
    unsettled: int
    state: State
    verdict: Verdict | None
    finished_at: datetime | None
    frontend_context_uuid: UUID | None
    backend_uuid: str | None
    thread_url_slug: str | None
    assistant: str
    assistant_version: int | None
    channel: str
    conversation_state: State
    messages: list[WaitingMessage]

    @property
    def last_taken_seq(self) -> int:
        """The newest message of this attempt (a stored answer may cover fewer: `last_seq`)."""
        return self.messages[-1].seq

    @property
    def thread(self) -> Thread | None:
        """The thread an accepted answer stands in."""
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
    failure: str
    explanation: str
    unknown: bool
    text: str = ""
    slot: UUID | None = None
    model_ms: int | None = None
    first_text_ms: int | None = None


class FinishedTurn(BaseModel):
    """The end of a turn, with everything that is stored about it. `reply` None: the customer is told nothing."""

    turn_id: UUID
    conversation_id: UUID
    attempt: int
    last_seq: int
    status: str = "answered"
    state: State
    verdict: Verdict | None = None
    failure: str | None = None
    handler: str | None = None
    assistant_version: int | None = None
    reply_id: UUID
    reply: str | None
    sources: list[Source] = Field(default_factory=list)
    frontend_context_uuid: UUID
    backend_uuid: str | None = None
    thread_url_slug: str | None = None
    collection_uuid: str | None = None
    account_name: str = ""
    raw_output_id: UUID | None = None
    raw_text: str = ""
    errors: list[OutputError] = Field(default_factory=list)
    details: dict[str, Any] = Field(default_factory=dict)
    slot: UUID | None = None
    model_ms: int | None = None
    first_text_ms: int | None = None


class Turns:
    """Takes, settles and finishes turns: one statement each."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, conversation_id: UUID, cursor: int, thread: UUID, limit: int) -> TakenTurn | None:
        """The up to *limit* messages after *cursor* as a turn, marked as being asked; None if nothing waits."""
        row = await self._database.row(
            _TAKE,
            {
                "conversation_id": conversation_id,
                "cursor": cursor,
                "limit": limit,
                "frontend_context_uuid": thread,
            },
        )
        return None if row is None else TakenTurn.model_validate(dict(row))

    async def settle_failed(self, failed: FailedAttempt) -> None:
        """Records that this attempt is over without an answer, and what had come by then."""
        values = failed.model_dump(exclude={"unknown"})
        await self._database.rows(_SETTLE_FAILED, {**values, "unsettled": int(failed.unknown)})

    async def finish(self, turn: FinishedTurn) -> bool:
        """Commits the outcome; False if another attempt's was committed first (this output is kept all the same)."""
        values = turn.model_dump()
        values["sources"] = dump_json(values["sources"])
        values["errors"] = dump_json(values["errors"])
        values["details"] = dump_json(values["details"])
        row = await self._database.row(_FINISH, values)
        assert row is not None
        return bool(row["won"])
