"""Turns in the shape callers of the API get: one by the message it answers, or the newest of many; and that a
caller was given one while a question is open: a yes to its own begins to count, one to another is in doubt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping

from actions.shown_output import output_to_show
from schemas.assistants import Texts
from schemas.conversation_ref import ConversationRef
from schemas.cursors import Cursor, place_values
from schemas.encoding import dump_json
from schemas.turns import Attempt, Drift, Reply, Timings, Turn, TurnAction, TurnThread
from storage.database import Database
from storage.merges import WITH_MERGED
from storage.registries import Registries

_TURN = """
SELECT t.id AS turn_id, t.conversation_id, t.first_seq, t.status, t.state, t.verdict, t.frontend_context_uuid::text,
       t.backend_uuid, t.ticket_id, t.model_ms, t.first_text_ms, t.finished_at, t.assistant_version, c.assistant,
       CASE WHEN :with_raw THEN r.text
            WHEN was_never_given(r) THEN given_instead(r, c.owner, CAST(:texts AS jsonb) || coalesce(
                (SELECT k.body -> 'texts' FROM configurations k WHERE k.assistant = c.assistant
                  ORDER BY k.version DESC LIMIT 1), '{{}}'))
            WHEN r.delivery IS DISTINCT FROM 'withheld' THEN r.text END AS reply_text,
       r.sources AS reply_sources,
       m.channel_message_id AS message_id,
       (extract(epoch FROM t.finished_at - m.stored_at) * 1000)::int AS total_ms,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('raw_output_id', o.id, 'verdict', o.verdict, 'errors', o.errors,
               'failure', o.failure, 'raw_output', CASE WHEN :with_raw THEN o.text END) ORDER BY o.created_at), '[]')
          FROM raw_outputs o WHERE o.turn_id = t.id) AS attempts,
       (SELECT jsonb_build_object('action', a.name, 'reason', a.reason, 'metadata', a.metadata,
               'assistant', a.assistant, 'version', a.assistant_version,
               'status', CASE WHEN a.status = 'accepted' THEN e.status ELSE a.status END, 'result', e.result)
          FROM actions a LEFT JOIN effects e ON e.key = a.effect_key
         WHERE a.turn_id = t.id ORDER BY a.index DESC LIMIT 1) AS action{more}
  FROM {turns}
  JOIN conversations c ON c.id = t.conversation_id
  {join} messages m ON m.conversation_id = t.conversation_id AND m.seq = {message}
  LEFT JOIN messages r ON r.turn_id = t.id AND r.direction = 'out' AND r.author = 'assistant'
"""

_FOUND = """(
    SELECT took.*, asks.seq AS answered_seq FROM turns took
      JOIN (SELECT CAST(:seq AS bigint) AS seq
            UNION ALL
            SELECT k.seq FROM messages k
             WHERE k.conversation_id = :conversation_id AND k.seq > :seq AND k.kind = 'held'
               AND k.meta -> 'held' @> to_jsonb(CAST(:seq AS bigint))) AS asks
        ON asks.seq BETWEEN took.first_seq AND took.last_seq
     WHERE took.conversation_id = :conversation_id AND took.finished_at IS NOT NULL
     ORDER BY took.status IN ('held', 'withheld'), took.first_seq DESC, asks.seq DESC LIMIT 1) t"""

_SEES_QUESTION = """EXISTS (
    SELECT 1 FROM actions q WHERE q.conversation_id IN (c.id, c.merged_into) AND q.status = 'awaiting_confirmation'
       AND (q.confirmation_by = 'customer' OR q.turn_id = t.id))"""

_BY_MESSAGE = (
    _TURN.format(join="JOIN", message=":seq", turns=_FOUND, more=f", t.answered_seq, {_SEES_QUESTION} AS sees_question")
    + " ORDER BY r.stored_at LIMIT 1"
)
"""The turn that answered a message, or the newest that took it and held it. Held, it may be taken up again, by a later
message of kind `held` that names it."""

_TAKEN_UP = """
SELECT max(k.seq) AS seq FROM messages k
 WHERE k.conversation_id = :conversation_id AND k.kind = 'held' AND k.meta -> 'held' @> to_jsonb(CAST(:seq AS bigint))
"""

_GIVE = """
UPDATE messages m SET meta = m.meta || jsonb_build_object('given_at', agent_now())
                      || CASE WHEN was_never_given(m) THEN '{"given_instead": true}' ELSE '{}' END::jsonb
 WHERE m.turn_id = :turn_id AND m.direction = 'out' AND m.delivery IS NULL AND NOT m.meta ? 'given_at'
"""
"""Noted once: to read it again says nothing new."""

_ASKED_AGAIN = f"""{_TAKEN_UP}
   AND NOT EXISTS (SELECT 1 FROM turns t WHERE t.conversation_id = k.conversation_id AND t.finished_at IS NOT NULL
                      AND k.seq BETWEEN t.first_seq AND t.last_seq)
"""

_NEWEST = (
    _TURN.format(join="LEFT JOIN", message="t.last_seq", turns="turns t", more="")
    + f"""
 WHERE t.conversation_id IN {WITH_MERGED} AND t.finished_at IS NOT NULL
   AND (CAST(:at AS timestamptz) IS NULL OR (t.finished_at, t.id) < (:at, CAST(:id AS uuid)))
 ORDER BY t.finished_at DESC, t.id DESC LIMIT :limit
"""
)
"""All of them: what a turn that a merge dropped was to answer has moved, and is another turn's."""

_PLACE = """
SELECT m.conversation_id, c.workflow_id, c.channel, c.assistant, m.seq
  FROM messages m JOIN conversations c ON c.id = m.conversation_id WHERE m.id = :message_id
"""

_DRIFT = """
SELECT o.id AS raw_output_id, o.created_at, o.conversation_id, o.turn_id, c.channel, c.assistant, o.purpose, o.errors,
       o.text AS raw_output, o.prompt_pack, o.pack_echoed, t.status AS turn_status, t.assistant_version
  FROM raw_outputs o JOIN turns t ON t.id = o.turn_id JOIN conversations c ON c.id = o.conversation_id
 WHERE o.verdict = 'invalid' AND (CAST(:since AS timestamptz) IS NULL OR o.created_at >= :since)
   AND (CAST(:at AS timestamptz) IS NULL OR (o.created_at, o.id) < (:at, CAST(:id AS uuid)))
 ORDER BY o.created_at DESC, o.id DESC LIMIT :limit
"""


_IN_PLACE = {"dropped", "replaced", "still_working", "action_done", "action_unknown", "action_failed"}
_TEXTS = dump_json(Texts().model_dump(include=_IN_PLACE))
"""What `given_instead` says where the assistant has no words of its own."""


@dataclass(frozen=True)
class Answer:
    """The turn that answers message number *seq* of its conversation, as it was read.

    `answered_seq`: under which number; one that was held is answered with another's, maybe. `sees_question`: one is
    open, its own or another turn's: that a caller is given this counts (`TurnViews.give`).
    """

    turn: Turn
    seq: int
    answered_seq: int
    sees_question: bool


class TurnViews:
    """Finished turns, as `schemas.turns.Turn`. What is sensitive in an action's values or a raw output is hidden."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._registries = Registries(database)

    async def answering(self, conversation_id: UUID, seq: int) -> Answer | None:
        """The turn that answered message number *seq*, or None if none has yet. A question that is over, and that no
        caller was given, is not put any more (`give`): what came of it is told in its place."""
        values = {"conversation_id": conversation_id, "seq": seq, "with_raw": False, "texts": _TEXTS}
        row = await self._database.row(_BY_MESSAGE, values)
        if row is None:
            return None
        return Answer(await self._turn(row), seq, row["answered_seq"], row["sees_question"])

    async def give(self, turn_id: UUID) -> None:
        """Notes that a caller is given the turn's words: from now on a yes may mean its question, or, where that is
        over or it has none, these words and not a question that was given before."""
        await self._database.rows(_GIVE, {"turn_id": turn_id})

    async def asked_again(self, conversation_id: UUID, seq: int) -> int | None:
        """The number of the message that asks for an answer to number *seq*, which was held; None if none waits."""
        row = await self._database.row(_ASKED_AGAIN, {"conversation_id": conversation_id, "seq": seq})
        return None if row is None else row["seq"]

    async def taken_up(self, conversation_id: UUID, seq: int) -> int | None:
        """The number of the newest message that asks for an answer to number *seq*, which was held; answered too."""
        row = await self._database.row(_TAKEN_UP, {"conversation_id": conversation_id, "seq": seq})
        return None if row is None else row["seq"]

    async def place_of(self, message_id: UUID) -> ConversationRef:
        """Where a stored message is to be answered by now: its customer may have turned out to be another one."""
        row = await self._database.row(_PLACE, {"message_id": message_id})
        assert row is not None
        return ConversationRef.model_validate(dict(row))

    async def newest(self, conversation_id: UUID, limit: int, before: Cursor | None = None) -> list[Turn]:
        """Up to *limit* turns finished before *before*, newest first, with what the model really wrote."""
        values = {"conversation_id": conversation_id, "limit": limit, "with_raw": True, "texts": _TEXTS}
        values |= place_values(before)
        return [await self._turn(row) for row in await self._database.rows(_NEWEST, values)]

    async def drift(self, limit: int, before: Cursor | None = None, since: datetime | None = None) -> list[Drift]:
        """Up to *limit* invalid outputs written before *before*, and not before *since*, newest first."""
        rows = await self._database.rows(_DRIFT, {"limit": limit, "since": since, **place_values(before)})
        return [await self._drift(row) for row in rows]

    async def _drift(self, row: RowMapping) -> Drift:
        registry = await self._registries.at(row["assistant"], row["assistant_version"])
        return Drift.model_validate({**row, "raw_output": output_to_show(row["raw_output"], registry)})

    async def _turn(self, row: RowMapping) -> Turn:
        values: dict[str, Any] = dict(row)
        assistant, action = values["assistant"], values["action"]
        if action is not None:
            action = await self._registries.shown(action)
        attempts = [Attempt.model_validate(attempt) for attempt in values["attempts"]]
        if any(attempt.raw_output for attempt in attempts):
            registry = await self._registries.at(assistant, values["assistant_version"])
            for attempt in attempts:
                attempt.raw_output = attempt.raw_output and output_to_show(attempt.raw_output, registry)
        return _turn(values, action, attempts)


def _turn(values: dict[str, Any], action: dict[str, Any] | None, attempts: list[Attempt]) -> Turn:
    text, sources = values.pop("reply_text"), values.pop("reply_sources")
    return Turn(
        turn_id=values["turn_id"],
        conversation_id=values["conversation_id"],
        message_id=values["message_id"] or "",
        status=values["status"],
        state=values["state"],
        verdict=values["verdict"],
        reply=None if text is None else Reply(text=text, sources=sources or []),
        action=None if action is None else TurnAction.model_validate(action),
        attempts=attempts,
        thread=TurnThread(backend_uuid=values["backend_uuid"], frontend_context_uuid=values["frontend_context_uuid"]),
        ticket_id=values["ticket_id"],
        timings=Timings.model_validate(values),
        finished_at=values["finished_at"],
    )
