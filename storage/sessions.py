"""Reading a conversation: where it stands, its threads, what a fresh run of its workflow must know."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from schemas.conversations import Thread, WorkflowState
from schemas.sessions import OpenQuestion, PastThread, Session, SessionThread, ThreadHistory
from schemas.standing import Standing
from storage.database import Database
from storage.questions import Questions

_NAMED = """
WITH named AS (
    SELECT DISTINCT i.customer_id FROM channel_identities i
     WHERE i.channel = :channel
       AND (i.value = :customer_id OR i.kind = 'phone' AND i.value = ltrim(CAST(:customer_id AS text), '+'))
       AND EXISTS (SELECT 1 FROM conversations c
                    WHERE c.customer_id = i.customer_id AND c.channel = i.channel AND c.merged_into IS NULL)
)
"""
"""Whose name it is. Two of one channel may have it: the phone number of one, another kind of name of the other."""

_SESSION = f"""
{_NAMED}
SELECT (SELECT count(*) FROM named) AS people,
       c.id AS conversation_id, c.channel, c.assistant, c.workflow_id, to_jsonb(s) AS standing, c.turns,
       c.last_message_at, c.newest_seq - c.cursor AS waiting_messages, t.backend_uuid, t.frontend_context_uuid::text,
       t.thread_url_slug, t.collection_uuid, t.account_name,
       (SELECT coalesce(array_agg('T-' || k.number ORDER BY k.number), '{{}}') FROM tickets k
         WHERE k.conversation_id = c.id) AS tickets,
       (SELECT count(*) FROM held_messages(c.id)) AS held,
       (SELECT jsonb_build_object('id', h.id, 'team', h.team, 'reason', h.reason, 'since', h.opened_at,
                                  'opened_by', h.opened_by, 'taken_by', taken.who, 'taken_at', taken.at,
                                  'waiting_messages', (SELECT count(*) FROM held_messages(c.id)))
          FROM handoffs h
          LEFT JOIN LATERAL (
               SELECT x.who, x.at FROM transitions x JOIN conversations m ON m.id = x.conversation_id
                WHERE c.id IN (m.id, m.merged_into) AND x.why = 'taken' AND x.at >= h.opened_at
                ORDER BY x.id DESC LIMIT 1) taken ON true
         WHERE h.conversation_id = c.id AND h.released_at IS NULL) AS handoff
  FROM named i
  JOIN conversations c ON c.customer_id = i.customer_id AND c.channel = :channel AND c.merged_into IS NULL
  JOIN standings s ON s.conversation_id = c.id
  LEFT JOIN threads t ON t.conversation_id = c.id AND t.ended_at IS NULL
 ORDER BY c.last_message_at DESC NULLS LAST, t.backend_uuid IS NULL, t.updated_at DESC LIMIT 1
"""

_PEOPLE = f"""
{_NAMED}
SELECT n.customer_id, string_agg(i.kind || ' ' || i.value, ', ' ORDER BY i.kind, i.value) AS names
  FROM named n JOIN channel_identities i ON i.customer_id = n.customer_id AND i.channel = :channel
 GROUP BY n.customer_id ORDER BY names
"""

_THREADS = """
SELECT backend_uuid, frontend_context_uuid::text, thread_url_slug, collection_uuid, account_name, created_at, ended_at,
       end_reason AS ended_because, turns
  FROM threads WHERE conversation_id = :conversation_id ORDER BY created_at DESC
"""

_WORKFLOW_STATE = """
SELECT c.merged_into IS NOT NULL AS merged, c.cursor,
       CASE WHEN is_stopped(c) THEN c.cursor ELSE c.newest_seq END AS newest_seq, c.state,
       to_jsonb(s) AS standing, c.turns, t.frontend_context_uuid, t.backend_uuid, t.thread_url_slug,
       (SELECT ticket_id FROM turns WHERE conversation_id = c.id AND ticket_id IS NOT NULL
         ORDER BY first_seq DESC LIMIT 1) AS ticket_id,
       (SELECT verdict FROM turns WHERE conversation_id = c.id AND verdict IS NOT NULL
         ORDER BY first_seq DESC LIMIT 1) AS last_verdict
  FROM conversations c JOIN standings s ON s.conversation_id = c.id
  LEFT JOIN threads t ON t.conversation_id = c.id AND t.ended_at IS NULL AND t.backend_uuid IS NOT NULL
 WHERE c.id = :conversation_id ORDER BY t.updated_at DESC LIMIT 1
"""

_STOP = """
WITH sending AS MATERIALIZED (
    SELECT id FROM effects WHERE conversation_id = :conversation_id AND kind = 'part' AND status = 'sending'
     ORDER BY id FOR UPDATE
), asking AS MATERIALIZED (
    SELECT id FROM turns WHERE conversation_id = :conversation_id AND status IN ('claimed', 'asking')
       AND (SELECT count(*) FROM sending) >= 0 FOR UPDATE
), released AS (
    UPDATE turns SET step = step + 1, status = 'failed', failure = 'cancelled'
     WHERE id IN (SELECT id FROM asking) RETURNING id
), slots AS (
    UPDATE account_calls SET ended_at = agent_now() WHERE turn_id IN (SELECT id FROM released) AND ended_at IS NULL
), place AS (
    DELETE FROM account_places WHERE conversation_id = :conversation_id
), parts AS (
    UPDATE effects SET status = 'unknown', failure = 'unknown', unknown_attempts = unknown_attempts + 1,
           error = jsonb_build_object('explanation', 'an operator cancelled the run'), settled_at = agent_now()
     WHERE id IN (SELECT id FROM sending) AND status = 'sending'
), stopped AS MATERIALIZED (
    SELECT id FROM conversations
     WHERE (id = :conversation_id OR merged_into = :conversation_id) AND (SELECT count(*) FROM asking) >= 0
     ORDER BY id FOR NO KEY UPDATE
)
UPDATE conversations SET stopped_seq = newest_seq WHERE id IN (SELECT id FROM stopped)
"""
"""What the run was asking is released under a new step: an answer that still comes is not used. Of a part that it was
sending nobody knows whether it left. What was merged into it is stopped with it: what ends there is brought here."""


def _projected(standing: Standing, questions: list[OpenQuestion]) -> dict[str, Any]:
    """What callers see of *standing*: a question is open for its time, whether or not its end was told already.

    As `standings.state` in SQL, but of the questions that this very answer lists.
    """
    asked = sum(each.kind == "confirmation" for each in questions)
    return {
        "owner": standing.owner,
        "state": standing.model_copy(update={"questions": asked}).state,
        "questions": questions,
        "pending_action": questions[0] if questions else None,
    }


_THREAD_FIELDS = tuple(SessionThread.model_fields)


class Ambiguous(Exception):
    """A name of several people of one channel. *people*: which; the text has all their names."""

    def __init__(self, channel: str, customer_id: str, people: dict[UUID, str]) -> None:
        told = "; ".join(people.values())
        super().__init__(f"{customer_id} is a name of {len(people)} people on {channel}: {told}")
        self.people = list(people)


class Sessions:
    """Queries about one conversation, found by the name its channel knows the customer by.

    *language*: of the words in which open questions are told, where an assistant has none of its own.
    """

    def __init__(self, database: Database, language: str = "en") -> None:
        self._database = database
        self._questions = Questions(database, language)

    async def find(self, channel: str, customer_id: str) -> Session | None:
        """The newest of the one customer whom the channel knows by that name. Raises Ambiguous."""
        name = {"channel": channel, "customer_id": customer_id}
        row = await self._database.row(_SESSION, name)
        if row is None:
            return None
        values: dict[str, Any] = dict(row)
        if values.pop("people") > 1:
            people = await self._database.rows(_PEOPLE, name)
            raise Ambiguous(channel, customer_id, {each["customer_id"]: each["names"] for each in people})
        thread = SessionThread.model_validate({name: values.pop(name) for name in _THREAD_FIELDS})
        questions = await self._questions.open(values["conversation_id"])
        return Session(
            customer_id=customer_id,
            thread=thread,
            **_projected(Standing.model_validate(values.pop("standing")), questions),
            **values,
        )

    async def threads(self, conversation_id: UUID) -> ThreadHistory:
        """Every thread the conversation ever had; they are never deleted."""
        rows = await self._database.rows(_THREADS, {"conversation_id": conversation_id})
        history = [PastThread.model_validate(dict(row)) for row in rows]
        current = next((thread for thread in history if thread.ended_at is None), None)
        return ThreadHistory(**(current.model_dump(include=set(_THREAD_FIELDS)) if current else {}), history=history)

    async def workflow_state(self, conversation_id: UUID) -> WorkflowState:
        """What a run that starts afresh must know. Raises LookupError for a conversation that was never stored."""
        row = await self._database.row(_WORKFLOW_STATE, {"conversation_id": conversation_id})
        if row is None:
            raise LookupError(f"no conversation {conversation_id}")
        values = dict(row)
        thread = Thread.model_validate(values) if values["frontend_context_uuid"] else None
        return WorkflowState.model_validate({**values, "thread": thread})

    async def stop(self, conversation_id: UUID) -> None:
        """Its run was cancelled: nobody wakes it for what waits now, until its next message or a reset."""
        await self._database.rows(_STOP, {"conversation_id": conversation_id})
