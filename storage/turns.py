"""Turns in the database: claimed for a step, and read as they stand, one round trip each.

A turn's `step` is its fence for outcomes, and the owner's version the one against people: a claim notes both, and what
ends the step names them (`storage.turn_commits`). A question that got no answer is in `storage.failed_attempts`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from pydantic import BaseModel

from schemas.actions import ActionRequest, Confirmation, PendingConfirmation
from schemas.channels import needs_delivery
from schemas.conversations import NextStep, Thread, TurnOutcome
from schemas.failures import NOT_REACHED, WAITED_OUT, ModelFailureKind
from schemas.messages import WaitingMessage
from schemas.questions import AskedQuestion
from schemas.standing import Standing
from schemas.turn_record import Purpose, TurnAtStep, TurnFence, TurnStatus
from schemas.turns import State, Verdict
from storage.actions import CAME_TO
from storage.database import Database
from storage.merges import UNTOLD, WITH_MERGED

_NEXT_STEPS = {
    TurnStatus.INVALID: NextStep.REPAIR,
    TurnStatus.ACTING: NextStep.PERFORM,
    TurnStatus.RESULTED: NextStep.CONCLUDE,
    TurnStatus.REOPENED: NextStep.AGAIN,
}
"""What the workflow does next with a turn in this status; with any other, nothing."""

TURN = """
       turn.id, turn.conversation_id, turn.first_seq, turn.last_seq, turn.status, turn.step, turn.purpose, turn.attempt,
       turn.commit_id, turn.state, turn.owner_version, turn.verdict, turn.finished_at, turn.frontend_context_uuid,
       turn.backend_uuid, turn.newest_backend_uuid, turn.ticket_id, conversation.channel, conversation.account,
       (SELECT max(k.seq) FROM messages k WHERE k.conversation_id = turn.conversation_id AND k.kind = 'held'
           AND k.seq > turn.last_seq) AS waiting_seq"""
"""How far a turn has come: the columns of `TurnRow`, but for the thread's slug, the newest action and the standing."""

_STANDING = "(SELECT to_jsonb(s) FROM standings s WHERE s.conversation_id = turn.conversation_id) AS standing"
NEWEST_ACTION = "(SELECT a.id FROM actions a WHERE a.turn_id = turn.id ORDER BY a.index DESC LIMIT 1)"
_UNDECIDED = "('claimed', 'asking', 'failed', 'reopened')"
_CLAIMABLE = "('claimed', 'asking', 'failed', 'reopened', 'invalid', 'resulted')"
_FROM_THE_BEGINNING = f"(turns.step = 0 AND turns.status IN {_UNDECIDED} OR turns.status = 'reopened')"
_MESSAGE = """id, seq, kind, text, meta ->> 'choice_id' AS choice_id, meta ->> 'reply_to' AS reply_to,
           meta ->> 'limited' AS limited, CAST(meta ->> 'waits_until' AS timestamptz) AS waits_until,
           channel_message_id, sent_at, stored_at, wants_stream, request_id"""

_CLAIM = f"""
WITH waiting AS (
    SELECT {_MESSAGE}, meta -> 'held' AS held FROM messages
     WHERE conversation_id = :conversation_id AND direction = 'in' AND seq > :cursor
       AND seq <= coalesce((SELECT last_seq FROM turns WHERE conversation_id = :conversation_id
              AND first_seq = CAST(:cursor AS bigint) + 1
              AND (purpose <> 'answer' OR status NOT IN {_UNDECIDED})), {2**62})
     ORDER BY seq LIMIT :limit
), held AS (
    SELECT {_MESSAGE} FROM messages WHERE conversation_id = :conversation_id AND direction = 'in'
       AND seq IN (SELECT CAST(jsonb_array_elements(waiting.held) AS bigint) FROM waiting WHERE kind = 'held')
), newest AS (
    SELECT max(version) AS version FROM configurations c
      JOIN conversations v ON v.assistant = c.assistant WHERE v.id = :conversation_id
), turn AS (
    INSERT INTO turns (conversation_id, first_seq, last_seq, status, frontend_context_uuid, assistant_version,
                       owner_version, thread_version)
    SELECT :conversation_id, min(seq), max(seq), 'claimed', :frontend_context_uuid, (SELECT version FROM newest),
           (SELECT owner_version FROM conversations WHERE id = :conversation_id),
           (SELECT owner_version FROM conversations WHERE id = :conversation_id)
      FROM waiting HAVING count(*) > 0
    ON CONFLICT (conversation_id, first_seq) DO UPDATE SET
        attempt = turns.attempt + (turns.status IN {_CLAIMABLE})::int,
        unknown_attempts = turns.unknown_attempts + (turns.status = 'asking')::int,
        purpose = CASE turns.status WHEN 'invalid' THEN 'repair' WHEN 'resulted' THEN 'conclude'
                  ELSE turns.purpose END,
        assistant_version = CASE WHEN {_FROM_THE_BEGINNING}
                            THEN excluded.assistant_version ELSE turns.assistant_version END,
        frontend_context_uuid = CASE WHEN {_FROM_THE_BEGINNING}
                                THEN excluded.frontend_context_uuid ELSE turns.frontend_context_uuid END,
        owner_version = CASE WHEN turns.status IN {_CLAIMABLE} THEN excluded.owner_version
                        ELSE turns.owner_version END,
        status = CASE WHEN turns.status IN {_CLAIMABLE} THEN 'claimed' ELSE turns.status END
    RETURNING *
)
SELECT {TURN}, {_STANDING}, thread.thread_url_slug, {NEWEST_ACTION} AS action_id,
       thread.ended_at IS NOT NULL OR turn.thread_version < conversation.thread_version AS thread_ended,
       coalesce((SELECT h.end_reason = 'lost' AND h.ended_at > coalesce(conversation.merges_told_at, '-infinity')
                   FROM threads h WHERE h.conversation_id = conversation.id AND h.backend_uuid IS NOT NULL
                  ORDER BY h.created_at DESC LIMIT 1), false) AS after_lost,
       turn.unknown_attempts, turn.times_asked, turn.repairs, turn.rounds, turn.started_at, turn.assistant_version,
       coalesce(turn.prompt_pack, thread.prompt_pack) AS pack_told,
       (SELECT coalesce(jsonb_object_agg(p.collection_uuid, p.version), '{{}}') FROM (
           SELECT DISTINCT ON (collection_uuid) collection_uuid, version, assistant FROM pasted_packs
            ORDER BY collection_uuid, id DESC) p WHERE p.assistant = conversation.assistant) AS packs_pasted,
       conversation.assistant, conversation.closed_seq, conversation.newest_seq, conversation.merges,
       (SELECT max(c.merged_at) FROM conversations c
         WHERE c.merged_into = conversation.id AND c.merged_at <= turn.started_at
           AND {UNTOLD.format(into="conversation")} AND EXISTS (
               SELECT 1 FROM threads h WHERE h.conversation_id = conversation.id AND h.end_reason = 'merged'))
           AS untold_merges,
       (SELECT count(*) FROM actions a WHERE a.turn_id = turn.id) AS actions,
       done.something_done, done.something_unknown,
       (SELECT count(*) FROM raw_outputs o WHERE o.turn_id = turn.id AND o.failure = ANY(:final_failures))
           AS final_failures,
       (SELECT min(created_at) FROM raw_outputs o WHERE o.turn_id = turn.id AND o.failure = ANY(:waited_out)
           AND NOT EXISTS (SELECT 1 FROM raw_outputs r WHERE r.turn_id = turn.id AND r.created_at > o.created_at
                              AND (r.failure IS NULL OR r.failure <> ALL(:not_reached)))) AS unreachable_since,
       (SELECT to_jsonb(p) || jsonb_build_object('newest_version', (
               SELECT max(version) FROM configurations c WHERE c.assistant = p.assistant),
           'something_done', others.something_done, 'something_unknown', others.something_unknown,
           'accepted_at', put.accepted_at, 'followed', coalesce(put.followed, false),
           'sent_as', coalesce(put.sent_as, '[]'), 'said_otherwise',
           was_said_otherwise(p, put.begun_at, turn.first_seq, (SELECT max(seq) FROM waiting)))
          FROM actions p CROSS JOIN effects_of_turn(p.turn_id, p.id) AS others
          LEFT JOIN question_words(p) AS put ON true
         WHERE p.conversation_id = :conversation_id
           AND p.status = 'awaiting_confirmation' AND p.confirmation_by = 'customer'
         ORDER BY p.created_at DESC LIMIT 1) AS question,
       (SELECT coalesce(jsonb_agg(to_jsonb(asked)), '[]') FROM (
           SELECT {CAME_TO}
            WHERE a.conversation_id IN {WITH_MERGED} AND a.confirmation_by = 'customer' AND a.digest IN (
                SELECT split_part(taken.choice_id, ':', 2) FROM (
                    SELECT choice_id FROM held UNION ALL SELECT choice_id FROM waiting) taken)) asked) AS pressed,
       (SELECT jsonb_agg(to_jsonb(taken) ORDER BY sent_at NULLS LAST, seq)
          FROM (SELECT * FROM held UNION ALL
                SELECT id, seq, kind, text, choice_id, reply_to, limited, waits_until, channel_message_id, sent_at,
                       stored_at, wants_stream, request_id FROM waiting) taken) AS messages
  FROM turn
  CROSS JOIN effects_of_turn(turn.id) AS done
  JOIN conversations conversation ON conversation.id = :conversation_id
  LEFT JOIN threads thread ON thread.frontend_context_uuid = turn.frontend_context_uuid
"""
"""Takes what waits as a turn, or a turn under way for its next step. One that is nobody's to ask stays as it is.

Of an open question, `accepted_at` and `followed` (`question_words`) say whether a plain yes may mean it,
`said_otherwise` (`was_said_otherwise`) whether anything else was written since (`storage/sql/decisions.sql`);
`newest_seq` and `merges` let the commit of such a yes find what was written, or revised, after this. `pressed`: the
questions of the buttons that were pressed."""

GET = f"""
SELECT {TURN}, {_STANDING}, thread.thread_url_slug, {NEWEST_ACTION} AS action_id
  FROM turns turn
  JOIN conversations conversation ON conversation.id = turn.conversation_id
  LEFT JOIN threads thread ON thread.frontend_context_uuid = turn.frontend_context_uuid
 WHERE turn.id = :turn_id
"""
"""A turn as it stands, in the columns of `TurnRow`."""

_RESULTED = """
UPDATE turns SET status = 'resulted', step = step + 1, rounds = rounds + 1, commit_id = NULL, times_asked = 0
 WHERE id = :turn_id AND status = 'acting' AND step = :step
"""
"""The action's effect is confirmed, and the model says the final words."""

_POSITION = "SELECT newest_seq, owner_version FROM conversations WHERE id = :conversation_id"


class StoredConfirmation(BaseModel):
    """An action that the customer was asked to confirm, as it is in the database.

    `assistant`, `assistant_version`: the configuration it was accepted under, another assistant's than the
    conversation's maybe, since a merge; `newest_version`: that assistant's by now. `something_done`,
    `something_unknown`: of the other effects of the turn that asked.
    """

    id: UUID
    name: str
    reason: str
    metadata: dict[str, Any]
    digest: str
    confirmation_by: Confirmation
    created_at: datetime
    expires_at: datetime
    asked_seq: int
    assistant: str
    assistant_version: int | None
    newest_version: int | None
    accepted_at: datetime | None
    followed: bool = False
    said_otherwise: bool = False
    sent_as: tuple[str, ...] = ()
    something_done: bool = False
    something_unknown: bool = False

    @property
    def pending(self) -> PendingConfirmation:
        """The question itself."""
        return PendingConfirmation(
            request=ActionRequest(action=self.name, reason=self.reason, metadata=self.metadata),
            digest=self.digest,
            by=self.confirmation_by,
            expires_at=self.expires_at,
            asked_seq=self.asked_seq,
            accepted_at=self.accepted_at,
            followed=self.followed,
            said_otherwise=self.said_otherwise,
            sent_as=self.sent_as,
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

    `thread_ended`: its thread is over, by a reset. `after_lost`: the newest thread in which an answer counted was lost,
    and the conversation has not started over since. `closed_seq`: the newest message when the conversation was last
    closed from outside. `newest_seq`: the conversation's newest message. `merges`: how often another was merged into
    this one, or words that waited were revised. `untold_merges`: when the last merge was of which its thread was not
    told. `something_done`: an effect of this turn is confirmed; `something_unknown`: of one nobody knows. `pack_told`:
    the version its thread knows; `packs_pasted`: by Space, the version last confirmed as pasted into it, but where
    another assistant's was pasted since.
    `final_failures`: attempts that surely failed upstream. `unreachable_since`: when the outage began, that is, the
    first time that nobody was reached upstream since somebody was. `pressed`: the questions of the buttons among
    the messages.
    """

    thread_ended: bool
    after_lost: bool = False
    closed_seq: int = 0
    newest_seq: int = 0
    merges: int = 0
    untold_merges: datetime | None = None
    unknown_attempts: int
    times_asked: int
    repairs: int
    rounds: int
    started_at: datetime
    pack_told: str | None
    packs_pasted: dict[str, str]
    assistant: str
    assistant_version: int | None
    actions: int
    something_done: bool
    something_unknown: bool = False
    final_failures: int
    unreachable_since: datetime | None = None
    question: StoredConfirmation | None
    pressed: tuple[AskedQuestion, ...] = ()
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
    def waits_until(self) -> datetime | None:
        """When the model may be asked about the first message over the customer's limit; what came since goes along."""
        return min((message.waits_until for message in self.counting if message.waits_until), default=None)

    @property
    def slot(self) -> UUID:
        """The account's slot of this attempt: always the same, so that whoever ends the attempt can free it."""
        return uuid5(self.id, f"slot {self.attempt}")

    def fence(self, thread: Thread, lost_thread: UUID | None = None) -> TurnFence:
        fence = self.fence_in(thread.frontend_context_uuid, self.last_claimed_seq)
        return replace(
            fence,
            newest_seq=self.newest_seq,
            merges=self.merges,
            merges_told=self.untold_merges,
            lost_thread=lost_thread,
        )


class Position(BaseModel):
    """Where a conversation is by now: its newest message's number, and its owner's version."""

    newest_seq: int
    owner_version: int


class Turns:
    """Turns, claimed and read."""

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
            "final_failures": [ModelFailureKind.UPSTREAM, ModelFailureKind.NO_ANSWER, ModelFailureKind.REFUSED],
            "waited_out": list(WAITED_OUT),
            "not_reached": list(NOT_REACHED),
        }
        row = await self._database.row(_CLAIM, values)
        return None if row is None else ClaimedTurn.model_validate(dict(row))

    async def get(self, turn_id: UUID) -> TurnRow:
        """A turn as it stands."""
        row = await self._database.row(GET, {"turn_id": turn_id})
        assert row is not None
        return TurnRow.model_validate(dict(row))

    async def resulted(self, fence: TurnFence) -> None:
        """The turn's action is done, and its result goes back to the model: the next step concludes. Repeatable."""
        await self._database.rows(_RESULTED, {"turn_id": fence.turn_id, "step": fence.step})

    async def position(self, conversation_id: UUID) -> Position:
        """What makes an answer useless that is still to come."""
        row = await self._database.row(_POSITION, {"conversation_id": conversation_id})
        assert row is not None
        return Position.model_validate(dict(row))
