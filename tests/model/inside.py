"""All that the model test knows of the tables: how they are emptied, and what is read to judge a run."""

from __future__ import annotations

from uuid import UUID, uuid5

_TABLES = (
    *("account_calls", "account_places", "media", "transitions", "tickets", "handoffs", "effects", "actions"),
    *("raw_outputs", "stream_events", "turns", "threads", "messages", "conversations", "channel_identities"),
    *("former_identities", "customers", "configurations", "audit", "rate_limits", "leftovers", "pasted_packs"),
    *("api_keys", "alarms"),
)
EMPTY = f"WITH {', '.join(f'd{n} AS (DELETE FROM {table})' for n, table in enumerate(_TABLES))} SELECT 1"
"""A hundred times faster than TRUNCATE, for so few rows."""

CONVERSATIONS = """
SELECT c.id, c.workflow_id, c.owner, c.state, c.cursor, c.newest_seq, c.stopped_seq, c.merged_into, c.merged_at,
       k.erased_at IS NOT NULL AS erased
  FROM conversations c JOIN customers k ON k.id = c.customer_id
"""

TURNS = """
SELECT t.*, (SELECT coalesce(array_agg(m.text ORDER BY m.stored_at), '{}') FROM messages m
              WHERE m.turn_id = t.id AND m.direction = 'out' AND m.author = 'assistant') AS replies,
       (SELECT coalesce(array_agg(m.text ORDER BY m.stored_at), '{}') FROM actions a JOIN messages m
            ON m.id_scope = 'action' AND m.channel_message_id = a.id::text AND m.direction = 'out'
         WHERE a.turn_id = t.id) AS told
  FROM turns t ORDER BY t.conversation_id, t.first_seq
"""

MESSAGES = "SELECT * FROM messages ORDER BY stored_at"

OUTPUTS = "SELECT * FROM raw_outputs WHERE backend_uuid IS NOT NULL ORDER BY created_at"

EFFECTS = """
SELECT e.*, a.side_effect, a.digest, a.turn_id AS of_turn, a.name, a.metadata, a.status AS action_status,
       a.confirmation_by
  FROM effects e JOIN actions a ON a.effect_key = e.key ORDER BY e.planned_at
"""

DELIVERIES = """
SELECT d.*, e.status AS effect_status, m.text AS reply, m.stored_at AS replied_at, m.author, m.turn_id, m.delivery,
       EXISTS (SELECT 1 FROM messages n WHERE n.conversation_id = d.conversation_id AND n.kind = 'note') AS noted
  FROM deliveries d JOIN effects e ON e.id = d.id JOIN messages m ON m.id = d.message_id
 ORDER BY m.stored_at, d.part
"""

PARTS = "SELECT id, conversation_id, claimed_at FROM effects WHERE kind = 'part'"

PART = "SELECT conversation_id, claimed_at FROM effects WHERE id = :id"

QUESTIONS = "SELECT digest FROM actions WHERE confirmation_by = 'customer'"

THREADS = "SELECT * FROM threads"

SLOTS = """
SELECT 'slot' AS what, t.conversation_id FROM account_calls s JOIN turns t ON t.id = s.turn_id WHERE s.ended_at IS NULL
UNION ALL SELECT 'place', conversation_id FROM account_places
"""

TAKEN = """
SELECT c.id AS conversation_id, c.owner, m.author, m.text, e.claimed_at, greatest(taken.at, m.moved_at) AS taken_at,
       m.moved_at > taken.at AS by_a_merge
  FROM effects e JOIN conversations c ON c.id = e.conversation_id JOIN messages m ON m.id = e.message_id
 CROSS JOIN LATERAL (SELECT max(t.at) AS at FROM transitions t
                      WHERE t.conversation_id = c.id AND t.to_owner = 'human' AND t.from_owner <> 'human') AS taken
 WHERE e.id = :id AND taken.at IS NOT NULL
"""
"""Of a part: whose words it is of, who has its conversation, when a person took that last, or the part moved by a merge
into what a person had, and when it was claimed. None, where no person ever had it."""

BEGUN = """
SELECT e.attempts = 1 AND c.owner = 'human' AND e.owner_version IS NOT NULL AND e.claimed_at > (
           SELECT max(t.at) FROM transitions t
            WHERE t.conversation_id = c.id AND t.to_owner = 'human' AND t.from_owner <> 'human') AS late
  FROM effects e JOIN conversations c ON c.id = e.conversation_id WHERE e.key = :key
"""
"""Whether an action that is no staff's was first begun after a person took its conversation."""

WORKFLOW = "SELECT workflow_id FROM conversations WHERE id = :id"

STAFF_SAID = "SELECT text, count(*) AS times FROM messages WHERE author = 'agent' AND text <> '' GROUP BY text"

LIVE = """
SELECT c.id, c.owner FROM conversations c JOIN customers k ON k.id = c.customer_id
 WHERE c.merged_into IS NULL AND k.erased_at IS NULL
"""
"""Conversations that go on."""

OTHERS_ASK = """
INSERT INTO account_calls (id, perplexity_account, started_at, expires_at)
VALUES (gen_random_uuid(), 'acct-1', agent_now(), agent_now() + make_interval(secs => :seconds))
"""
"""Another conversation's question is out, as far as the account knows."""

OTHERS_ASKED = """
INSERT INTO account_calls (id, perplexity_account, started_at, expires_at, ended_at)
SELECT gen_random_uuid(), 'acct-1', agent_now() + make_interval(secs => :seconds), agent_now(), agent_now()
  FROM generate_series(1, :calls)
"""
"""Other conversations have used up the account's minute, and go on with it for so many seconds."""

OPEN_TICKETS = (
    "SELECT 'T-' || number AS id FROM tickets WHERE status NOT IN ('resolved', 'closed') ORDER BY number DESC"
)

OPEN_QUESTIONS = """
SELECT a.id, a.digest, a.confirmation_by, a.name, a.conversation_id, c.workflow_id
  FROM actions a JOIN conversations c ON c.id = a.conversation_id
 WHERE a.status = 'awaiting_confirmation' ORDER BY a.created_at
"""

OWES = """
WITH owed AS (
    SELECT id AS conversation_id, 'an answer' AS what, last_message_at AS deadline FROM conversations
     WHERE cursor < newest_seq AND newest_seq > coalesce(stopped_seq, 0)
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
        AND NOT EXISTS (SELECT 1 FROM actions a WHERE a.conversation_id = c.id AND a.confirmation_by = 'staff')
    UNION ALL
    SELECT conversation_id, 'an answer to ' || count(*) || ' questions at once' FROM actions
     WHERE status = 'awaiting_confirmation' AND confirmation_by = 'customer'
     GROUP BY conversation_id HAVING count(*) > 1
    UNION ALL
    SELECT a.conversation_id, 'an answer to a question that is open while ' || c.owner || ' has the conversation'
      FROM actions a JOIN conversations c ON c.id = a.conversation_id
     WHERE a.status = 'awaiting_confirmation' AND a.confirmation_by = 'customer' AND c.owner <> 'bot'
       AND c.merged_into IS NULL
    UNION ALL  -- a due reply is looked at when it is sent; under a ticket an assistant may hold what comes
    SELECT id, 'what was held, and nobody is to answer or to tell it' FROM conversations c WHERE owner = 'bot'
       AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.conversation_id = c.id AND m.delivery = 'due')
       AND NOT EXISTS (SELECT 1 FROM tickets t WHERE t.conversation_id = c.id AND t.status = 'open')
       AND (EXISTS (SELECT 1 FROM messages_to_ask_about(c.id)) OR EXISTS (SELECT 1 FROM words_to_tell(c.id)))
    UNION ALL
    SELECT conversation_id, 'more questions of unknown outcome than were put' FROM turns
     WHERE status = 'asking' AND unknown_attempts >= times_asked
)
SELECT * FROM unowned
"""
"""What a conversation owes and nobody would ever come for; empty at each moment. What staff approve opens the handoff
first, and is looked at in the end (`WITHOUT_A_HUMAN`)."""

WITHOUT_A_HUMAN = """
SELECT h.conversation_id FROM handoffs h JOIN conversations c ON c.id = h.conversation_id
 WHERE h.released_at IS NULL AND c.owner <> 'human' AND c.stopped_seq IS NULL
"""
"""Open handoffs of conversations that nobody has. In one that was cancelled between the handoff and its commit, the
effect is listed as owed, and the next message or a reset comes back to it."""

UNCARED = """
WITH said AS (
    SELECT m.id, m.conversation_id, m.seq, m.text, m.stored_at, c.owner, cardinality(s.tickets) > 0 AS ticket
      FROM messages m JOIN conversations c ON c.id = m.conversation_id JOIN customers k ON k.id = c.customer_id
      JOIN standings s ON s.conversation_id = c.id
     WHERE m.direction = 'in' AND m.seq IS NOT NULL AND m.kind NOT IN ('held', 'deleted')
       AND c.stopped_seq IS NULL AND k.erased_at IS NULL AND c.merged_into IS NULL
), taken_up AS (
    SELECT id AS message_id, conversation_id, seq FROM said
    UNION ALL
    SELECT said.id, k.conversation_id, k.seq FROM said JOIN messages k ON k.conversation_id = said.conversation_id
       AND k.kind = 'held' AND k.meta -> 'held' @> to_jsonb(said.seq)
)
SELECT said.* FROM said
 WHERE NOT EXISTS (SELECT 1 FROM taken_up u
                     JOIN turns t ON t.conversation_id = u.conversation_id AND u.seq BETWEEN t.first_seq AND t.last_seq
                      AND t.status IN ('answered', 'apologised')
                     JOIN messages r ON r.direction = 'out' AND (r.turn_id = t.id OR r.id_scope = 'action' AND
                          r.channel_message_id IN (SELECT a.id::text FROM actions a WHERE a.turn_id = t.id))
                      AND (r.delivery IS DISTINCT FROM 'withheld' OR EXISTS (
                           SELECT 1 FROM effects e WHERE e.message_id = r.id AND e.status = 'unknown'))
                    WHERE u.message_id = said.id)
   AND NOT EXISTS (SELECT 1 FROM messages w WHERE w.conversation_id = said.conversation_id AND w.direction = 'out'
                      AND w.author = 'agent' AND w.stored_at > said.stored_at)
   AND CASE WHEN owner = 'closed' THEN false WHEN owner = 'human' OR ticket THEN NOT EXISTS (
            SELECT 1 FROM held_messages(said.conversation_id) h WHERE h.id = said.id) ELSE true END
"""
"""Words of customers that nobody answered, nor told what came of what was asked for them, and nobody will: the bot has
the conversation, and did not (so that it reached them); or a person has it, or a ticket is open, and they are not
counted as held. Who closes a conversation decides that it needs no answer."""

MOVED_BY_STAFF = """
SELECT a.conversation_id, a.name, count(*) AS times, bool_or(EXISTS (
           SELECT 1 FROM transitions later WHERE later.conversation_id = t.conversation_id
              AND later.why IN ('taken', 'released', 'closed', 'reset') AND later.who = 'Ann'
              AND later.at > a.settled_at AND later.at < t.at)) AS late
  FROM actions a JOIN transitions t ON t.who = a.decided_by AND t.from_owner <> t.to_owner
 WHERE a.confirmation_by = 'staff' GROUP BY a.id
"""
"""How often an approved action changed the owner, and whether it did so after people had changed it themselves."""

IN_USE = "SELECT conversation_id FROM threads WHERE ended_at IS NULL GROUP BY 1 HAVING count(*) > 1"

LOST = """
SELECT l.conversation_id, l.frontend_context_uuid, EXISTS (
           SELECT 1 FROM turns t JOIN conversations c ON c.id = t.conversation_id
            WHERE l.conversation_id IN (c.id, c.merged_into)
              AND (SELECT count(*) FROM raw_outputs o
                    WHERE o.turn_id = t.id AND o.failure IN ('upstream', 'no_answer')) > 1) AS failed_twice
  FROM threads l WHERE l.end_reason = 'lost'
"""
"""Threads that ended because upstream forgot them, and whether a question surely failed twice there."""


def in_its_place(turn_id: UUID) -> UUID:
    """The thread that the turn begins in the place of a lost one."""
    return uuid5(turn_id, "in the place of a lost thread")


WAITS_TOLD = "SELECT meta ->> 'interim_notice_of' AS turn_id, stored_at FROM messages WHERE meta ? 'interim_notice_of'"

OVERDUE = """
SELECT id AS conversation_id, 'an answer' AS what FROM conversations
 WHERE cursor < newest_seq AND newest_seq > coalesce(stopped_seq, 0)
UNION ALL
SELECT m.conversation_id, 'a delivery' FROM messages m JOIN conversations c ON c.id = m.conversation_id
 WHERE m.delivery = 'due' AND c.newest_seq > coalesce(c.stopped_seq, -1)
UNION ALL
SELECT a.conversation_id, 'a word on what expired' FROM actions a JOIN conversations c ON c.id = a.conversation_id
 WHERE a.status = 'awaiting_confirmation' AND a.expires_at <= agent_now() AND c.newest_seq > coalesce(c.stopped_seq, -1)
UNION ALL
SELECT f.conversation_id, 'a file' FROM media f WHERE f.status = 'due'
UNION ALL
SELECT c.id, 'what its successor has' FROM conversations c
 WHERE c.merged_into IS NOT NULL AND (EXISTS (SELECT 1 FROM tickets k WHERE k.conversation_id = c.id)
    OR EXISTS (SELECT 1 FROM handoffs h WHERE h.conversation_id = c.id AND h.released_at IS NULL)
    OR EXISTS (SELECT 1 FROM actions a WHERE a.conversation_id = c.id AND a.status = 'awaiting_confirmation'))
UNION ALL
SELECT e.conversation_id, 'the outcome of ' || e.kind FROM effects e JOIN conversations c ON c.id = e.conversation_id
 WHERE e.status IN ('planned', 'sending') AND c.newest_seq > coalesce(c.stopped_seq, 0)
"""
"""What is still owed when everybody has had the time to do it."""

STATES = """
SELECT 'turn ' || status AS state FROM turns UNION SELECT 'action ' || status FROM actions
UNION SELECT CASE kind WHEN 'part' THEN 'part ' ELSE 'effect ' END || status FROM effects
UNION SELECT 'action withheld' FROM effects WHERE kind <> 'part' AND failure = 'withheld'
UNION SELECT 'reply withheld' FROM messages WHERE delivery = 'withheld'
UNION SELECT 'over the limit' FROM messages WHERE meta ? 'limited'
UNION SELECT 'a place in the queue' FROM account_places
UNION SELECT 'a thread that ended' FROM threads WHERE ended_at IS NOT NULL
UNION SELECT 'a thread that was lost' FROM threads WHERE end_reason = 'lost'
UNION SELECT 'an interim notice' FROM messages WHERE meta ? 'interim_notice_of'
UNION SELECT 'file ' || status FROM media
UNION SELECT 'conversation merged' FROM conversations WHERE merged_into IS NOT NULL
UNION SELECT 'conversation stopped' FROM conversations WHERE stopped_seq IS NOT NULL
UNION SELECT 'customer erased' FROM customers WHERE erased_at IS NOT NULL
"""
"""What there is in words, for `report.RARE`."""

SAID_TOO_LATE = """
SELECT DISTINCT m.conversation_id, a.name, a.status, m.text
  FROM actions a JOIN messages m ON m.direction = 'out' AND m.author = 'assistant' AND m.text <> '' AND CASE
       WHEN a.confirmation_by = 'customer' THEN m.meta -> 'buttons' ->> 'confirm' = 'confirm:' || a.digest
       ELSE m.turn_id = a.turn_id END
  JOIN effects e ON e.message_id = m.id AND e.claimed_at > a.settled_at
 WHERE a.confirmation_by IN ('customer', 'staff') AND a.status <> 'awaiting_confirmation'
"""
"""What was begun to be sent of questions and approvals after their end: each part's last attempt."""

TRIES = "SELECT turn_id, purpose FROM raw_outputs"

CONFIRMED = """
SELECT a.turn_id, a.name, a.digest, a.decided_by, a.settled_at, a.asked_seq, m.stored_at AS asked_at,
       m.id AS message_id, its.*
  FROM actions a
  JOIN messages m ON m.direction = 'out'
   AND m.meta -> 'buttons' ->> 'confirm' = 'confirm:' || a.digest
 CROSS JOIN LATERAL (
       SELECT min(e.claimed_at) AS left_at, max(e.attempts) AS sends,
              max(CASE WHEN e.status = 'confirmed' AND e.failed_fence IS NULL THEN e.settled_at ELSE e.claimed_at END)
              AS accepted_at,
              bool_and(e.status = 'confirmed' OR e.failed_fence IS NOT NULL) AS is_whole
         FROM effects e WHERE e.message_id = m.id) AS its
 WHERE a.decided_by IS NOT NULL AND a.confirmation_by = 'customer' AND a.status = 'accepted'
"""
"""Actions that were asked about and decided, but those withdrawn before they began; and when the channel had the
question, with its last part, and whether it had every part, once at least: for one that was sent again after its
answer, that is the time of the last send. One that was reported as failed and as arrived afterwards is settled by that
report, later than it was taken: then it is when the send began."""

ARRIVED = """
SELECT e.conversation_id, e.message_id, m.text, e.claimed_at, e.settled_at
  FROM effects e JOIN messages m ON m.id = e.message_id
 WHERE e.status = 'confirmed' AND e.failed_fence IS NULL AND e.attempts = 1 AND m.moved_at IS NULL
"""
"""Words of ours, of which the channel never said otherwise than that it has them."""
