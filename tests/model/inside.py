"""All that the model test knows of the tables: how they are emptied, and what is read to judge a run."""

from __future__ import annotations

_TABLES = (
    *("account_calls", "account_places", "media", "transitions", "tickets", "handoffs", "effects", "actions"),
    *("raw_outputs", "stream_events", "turns", "threads", "messages", "conversations", "channel_identities"),
    *("customers", "configurations", "audit", "rate_limits", "leftovers", "pasted_packs", "api_keys"),
)
EMPTY = f"WITH {', '.join(f'd{n} AS (DELETE FROM {table})' for n, table in enumerate(_TABLES))} SELECT 1"
"""A hundred times faster than TRUNCATE, for so few rows."""

CONVERSATIONS = """
SELECT c.id, c.workflow_id, c.owner, c.state, c.cursor, c.last_seq, c.stopped_seq, k.erased_at IS NOT NULL AS erased
  FROM conversations c JOIN customers k ON k.id = c.customer_id
"""

TURNS = """
SELECT t.*, (SELECT coalesce(array_agg(m.text ORDER BY m.stored_at), '{}') FROM messages m
              WHERE m.turn_id = t.id AND m.direction = 'out' AND m.author = 'assistant') AS replies
  FROM turns t ORDER BY t.conversation_id, t.first_seq
"""

MESSAGES = "SELECT * FROM messages ORDER BY stored_at"

OUTPUTS = "SELECT * FROM raw_outputs WHERE backend_uuid IS NOT NULL ORDER BY created_at"

EFFECTS = """
SELECT e.*, a.side_effect, a.turn_id AS of_turn, a.name, a.metadata, a.status AS action_status, a.confirmation_by
  FROM effects e JOIN actions a ON a.effect_key = e.key ORDER BY e.planned_at
"""

DELIVERIES = """
SELECT d.*, e.status AS effect_status, m.text AS reply, m.stored_at AS replied_at, m.author, m.turn_id, m.delivery,
       EXISTS (SELECT 1 FROM messages n WHERE n.conversation_id = d.conversation_id AND n.kind = 'note') AS noted
  FROM deliveries d JOIN effects e ON e.id = d.id JOIN messages m ON m.id = d.message_id
 ORDER BY m.stored_at, d.part
"""

THREADS = "SELECT * FROM threads"

SLOTS = """
SELECT 'slot' AS what, t.conversation_id FROM account_calls s JOIN turns t ON t.id = s.turn_id WHERE s.ended_at IS NULL
UNION ALL SELECT 'place', conversation_id FROM account_places
"""

TAKEN = """
SELECT c.id AS conversation_id, c.owner, e.claimed_at,
       (SELECT max(t.at) FROM transitions t
         WHERE t.conversation_id = c.id AND t.to_owner = 'human' AND t.from_owner <> 'human') AS taken_at
  FROM effects e JOIN conversations c ON c.id = e.conversation_id WHERE e.id = :id
"""
"""Who has the conversation of a part, when a person took it last, and when the part was claimed."""

BEGUN = """
SELECT e.attempts = 1 AND c.owner = 'human' AND e.owner_version IS NOT NULL AND e.claimed_at > (
           SELECT max(t.at) FROM transitions t
            WHERE t.conversation_id = c.id AND t.to_owner = 'human' AND t.from_owner <> 'human') AS late
  FROM effects e JOIN conversations c ON c.id = e.conversation_id WHERE e.key = :key
"""
"""Whether an action that is no staff's was first begun after a person took its conversation."""

OPEN_TICKETS = (
    "SELECT 'T-' || number AS id FROM tickets WHERE status NOT IN ('resolved', 'closed') ORDER BY number DESC"
)

LEFT_HELD = """
SELECT c.id AS conversation_id FROM conversations c
 WHERE c.owner = 'bot' AND c.stopped_seq IS NULL AND EXISTS (SELECT 1 FROM held_messages(c.id))
   AND (SELECT t.why FROM transitions t WHERE t.conversation_id = c.id AND t.from_owner <> t.to_owner
         ORDER BY t.id DESC LIMIT 1) = 'released'
   AND (SELECT t.from_owner FROM transitions t WHERE t.conversation_id = c.id AND t.from_owner <> t.to_owner
         ORDER BY t.id DESC LIMIT 1) = 'human'
"""
"""Conversations that a person gave back, and in which words that they held were never answered."""

OPEN_QUESTIONS = """
SELECT a.id, a.digest, a.confirmation_by, a.name, a.conversation_id FROM actions a
 WHERE a.status = 'awaiting_confirmation' ORDER BY a.created_at
"""

OWES = """
WITH owed AS (
    SELECT id AS conversation_id, 'an answer' AS what, last_message_at AS deadline FROM conversations
     WHERE cursor < last_seq AND last_seq > coalesce(stopped_seq, 0)
    UNION ALL
    SELECT conversation_id, 'a question''s expiry', expires_at FROM actions WHERE status = 'awaiting_confirmation'
    UNION ALL
    SELECT conversation_id, 'a delivery', stored_at FROM messages WHERE delivery = 'due'
    UNION ALL
    SELECT e.conversation_id, 'an effect', CASE WHEN t.finished_at IS NULL OR e.planned_at IS NOT NULL
                                                THEN coalesce(e.not_before, e.planned_at) END
      FROM effects e LEFT JOIN turns t ON t.id = e.turn_id
     WHERE e.status IN ('planned', 'sending') AND e.kind <> 'part'
), unowned AS (
    SELECT conversation_id, what || ' without a deadline' AS what FROM owed WHERE deadline IS NULL
    UNION ALL
    SELECT e.conversation_id, 'an effect of no turn' FROM effects e
     WHERE e.status IN ('planned', 'sending') AND e.kind <> 'part' AND e.turn_id IS NULL
    UNION ALL
    SELECT id, 'a human without a handoff' FROM conversations c WHERE owner = 'human'
       AND NOT EXISTS (SELECT 1 FROM handoffs h WHERE h.conversation_id = c.id AND h.released_at IS NULL)
    UNION ALL
    SELECT id, 'a handoff without a human' FROM conversations c WHERE owner <> 'human' AND EXISTS
        (SELECT 1 FROM handoffs h WHERE h.conversation_id = c.id AND h.released_at IS NULL)
        AND NOT EXISTS (SELECT 1 FROM turns t WHERE t.conversation_id = c.id AND t.status = 'acting')
    UNION ALL
    SELECT conversation_id, 'more questions of unknown outcome than were put' FROM turns
     WHERE status = 'asking' AND unsettled >= questions
)
SELECT * FROM unowned
"""
"""What a conversation owes and nobody would ever come for; empty at each moment."""

OVERDUE = """
SELECT id AS conversation_id, 'an answer' AS what FROM conversations
 WHERE cursor < last_seq AND last_seq > coalesce(stopped_seq, 0)
UNION ALL
SELECT m.conversation_id, 'a delivery' FROM messages m JOIN conversations c ON c.id = m.conversation_id
 WHERE m.delivery = 'due' AND c.last_seq > coalesce(c.stopped_seq, -1)
UNION ALL
SELECT a.conversation_id, 'a word on what expired' FROM actions a JOIN conversations c ON c.id = a.conversation_id
 WHERE a.status = 'awaiting_confirmation' AND a.expires_at <= agent_now() AND c.last_seq > coalesce(c.stopped_seq, -1)
UNION ALL
SELECT e.conversation_id, 'the outcome of ' || e.kind FROM effects e JOIN conversations c ON c.id = e.conversation_id
 WHERE e.status IN ('planned', 'sending') AND c.last_seq > coalesce(c.stopped_seq, 0)
"""
"""What is still owed when everybody has had the time to do it."""

TRIES = "SELECT turn_id, purpose FROM raw_outputs"

CONFIRMED = """
SELECT a.turn_id, a.name, a.digest, a.decided_by, a.asked_seq, m.stored_at AS asked_at,
       (SELECT min(CASE e.status WHEN 'confirmed' THEN e.settled_at ELSE e.claimed_at END) FROM effects e
         WHERE e.message_id = m.id) AS accepted_at
  FROM actions a
  JOIN turns t ON t.conversation_id = a.conversation_id
  JOIN messages m ON m.turn_id = t.id AND m.direction = 'out'
   AND m.meta -> 'buttons' ->> 'confirm' = 'confirm:' || a.digest
 WHERE a.decided_by IS NOT NULL AND a.confirmation_by = 'customer'
"""
"""Actions that were asked about and decided, and when the channel had the question."""
