"""The statements behind `storage.turns`, one round trip each.

A turn's `step` is its fence for outcomes: a commit names the step it belongs to and raises it, so within a step the
first committed output wins, and what an earlier step or attempt brings later touches no row. What it brought is kept
all the same, as not used. `commit_id` lets a repeated commit find that it was the one.
"""

from __future__ import annotations

from storage.channels import DELIVERY
from storage.merges import WITH_MERGED

_STANDING = """
       turn.id, turn.conversation_id, turn.first_seq, turn.last_seq, turn.status, turn.step, turn.purpose, turn.attempt,
       turn.commit_id, turn.state, turn.verdict, turn.finished_at, turn.frontend_context_uuid, turn.backend_uuid,
       turn.newest_backend_uuid, turn.ticket_id, conversation.channel, conversation.account,
       conversation.state AS conversation_state"""
"""How far a turn has come: the columns of `TurnRow`, but for the thread's slug and the newest action."""

_NEWEST_ACTION = "(SELECT a.id FROM actions a WHERE a.turn_id = turn.id ORDER BY a.index DESC LIMIT 1)"
_UNDECIDED = "('claimed', 'asking', 'failed')"
_CLAIMABLE = "('claimed', 'asking', 'failed', 'invalid', 'resulted')"

CLAIM = f"""
WITH waiting AS (
    SELECT id, seq, kind, text, meta ->> 'choice_id' AS choice_id, meta ->> 'limited' AS limited,
           channel_message_id, sent_at, stored_at, wants_stream, request_id FROM messages
     WHERE conversation_id = :conversation_id AND direction = 'in' AND seq > :cursor
       AND seq <= coalesce((SELECT last_seq FROM turns WHERE conversation_id = :conversation_id
              AND first_seq = CAST(:cursor AS bigint) + 1
              AND (purpose <> 'answer' OR status NOT IN {_UNDECIDED})), {2**62})
     ORDER BY seq LIMIT :limit
), newest AS (
    SELECT max(version) AS version FROM configurations c
      JOIN conversations v ON v.assistant = c.assistant WHERE v.id = :conversation_id
), turn AS (
    INSERT INTO turns (conversation_id, first_seq, last_seq, status, frontend_context_uuid, assistant_version)
    SELECT :conversation_id, min(seq), max(seq), 'claimed', :frontend_context_uuid, (SELECT version FROM newest)
      FROM waiting HAVING count(*) > 0
    ON CONFLICT (conversation_id, first_seq) DO UPDATE SET
        attempt = turns.attempt + (turns.status IN {_CLAIMABLE})::int,
        unsettled = turns.unsettled + (turns.status = 'asking')::int,
        purpose = CASE turns.status WHEN 'invalid' THEN 'repair' WHEN 'resulted' THEN 'conclude'
                  ELSE turns.purpose END,
        assistant_version = CASE WHEN turns.step = 0 AND turns.status IN {_UNDECIDED}
                            THEN excluded.assistant_version ELSE turns.assistant_version END,
        frontend_context_uuid = CASE WHEN turns.step = 0 AND turns.status IN {_UNDECIDED}
                                THEN excluded.frontend_context_uuid ELSE turns.frontend_context_uuid END,
        status = CASE WHEN turns.status IN {_CLAIMABLE} THEN 'claimed' ELSE turns.status END
    RETURNING *
)
SELECT {_STANDING}, thread.thread_url_slug, {_NEWEST_ACTION} AS action_id,
       turn.unsettled, turn.questions, turn.repairs, turn.rounds, turn.started_at, turn.assistant_version,
       coalesce(turn.prompt_pack, thread.prompt_pack) AS pack_told,
       (SELECT p.version FROM pasted_packs p WHERE p.assistant = conversation.assistant
         ORDER BY p.pasted_at DESC LIMIT 1) AS pack_pasted,
       conversation.assistant,
       (SELECT count(*) FROM actions a WHERE a.turn_id = turn.id) AS actions,
       EXISTS (SELECT 1 FROM actions a WHERE a.turn_id = turn.id AND a.side_effect AND a.status = 'confirmed')
           AS something_done,
       (SELECT count(*) FROM raw_outputs o WHERE o.turn_id = turn.id AND o.failure = ANY(:final_failures))
           AS final_failures,
       (SELECT to_jsonb(p) || jsonb_build_object('accepted_at', (SELECT CASE WHEN m.delivery IS NOT NULL
                   THEN coalesce((SELECT max(coalesce(d.accepted_at, d.updated_at)) FROM deliveries d
                                   WHERE d.message_id = m.id AND d.status IN ('queued', 'sent', 'delivered', 'read')),
                                 '9999-12-31T00:00:00Z') END
                  FROM messages m WHERE m.turn_id = p.turn_id AND m.direction = 'out'))
          FROM actions p WHERE p.conversation_id = :conversation_id
           AND p.status = 'awaiting_confirmation' AND p.confirmation_by = 'customer'
         ORDER BY p.created_at DESC LIMIT 1) AS question,
       (SELECT jsonb_agg(to_jsonb(waiting) ORDER BY sent_at NULLS LAST, seq) FROM waiting) AS messages
  FROM turn
  JOIN conversations conversation ON conversation.id = :conversation_id
  LEFT JOIN threads thread ON thread.frontend_context_uuid = turn.frontend_context_uuid
"""
"""Takes what waits as a turn, or a turn under way for its next step. One that is nobody's to ask stays as it is."""

GET = f"""
SELECT {_STANDING}, thread.thread_url_slug, {_NEWEST_ACTION} AS action_id
  FROM turns turn
  JOIN conversations conversation ON conversation.id = turn.conversation_id
  LEFT JOIN threads thread ON thread.frontend_context_uuid = turn.frontend_context_uuid
 WHERE turn.id = :turn_id
"""

_RAW_COLUMNS = """id, turn_id, conversation_id, attempt, purpose, verdict, errors, notes, failure, explanation, text,
                  details, prompt_pack, pack_echoed, backend_uuid, model_ms, first_text_ms"""

_FREE_SLOT = "slot AS (UPDATE account_calls SET ended_at = agent_now() WHERE id = :slot)"

FAIL = f"""
WITH failed AS (
    UPDATE turns SET status = 'failed', failure = :failure, unsettled = unsettled + :unsettled,
           purpose = CASE WHEN CAST(:anew AS boolean) THEN 'answer' ELSE purpose END
     WHERE id = :turn_id AND attempt = :attempt AND status IN ('claimed', 'asking') RETURNING id
), {_FREE_SLOT}
INSERT INTO raw_outputs ({_RAW_COLUMNS})
VALUES (:raw_output_id, :turn_id, :conversation_id, :attempt, :purpose, NULL, '[]', '[]', :failure, :explanation,
        :text, '{{}}', NULL, NULL, NULL, :model_ms, :first_text_ms)
ON CONFLICT DO NOTHING
"""
"""An attempt ends without an answer. `anew`: the step is given up for a question with newer messages."""

_WON = """
won AS (
    UPDATE turns SET step = step + 1, commit_id = :commit_id, questions = 0, unsettled = 0,
           status = :status, last_seq = :last_seq, state = coalesce(:state, state),
           verdict = coalesce(:verdict, verdict), failure = :failure, handler = coalesce(:handler, handler),
           frontend_context_uuid = :frontend_context_uuid,
           backend_uuid = coalesce(:accepted_backend_uuid, backend_uuid),
           newest_backend_uuid = coalesce(:output_backend_uuid, newest_backend_uuid),
           ticket_id = coalesce(:ticket_id, ticket_id), prompt_pack = coalesce(:pack_told, prompt_pack),
           repairs = repairs + (:status = 'invalid')::int,
           model_ms = coalesce(model_ms + :model_ms, model_ms, :model_ms),
           first_text_ms = coalesce(first_text_ms, :first_text_ms),
           finished_at = CASE WHEN CAST(:finishes AS boolean) THEN agent_now() END
     WHERE id = :turn_id AND step = :step AND finished_at IS NULL AND status = ANY(:from_statuses) RETURNING *
)"""

_CONVERSATION = """
conversation_after AS (
    UPDATE conversations SET cursor = greatest(cursor, :last_seq), turns = turns + 1, state = :state
     WHERE id = :conversation_id AND CAST(:finishes AS boolean) AND EXISTS (SELECT 1 FROM won)
    RETURNING id, channel, account
)"""

_REPLY = f"""
reply AS (
    INSERT INTO messages (id, conversation_id, direction, author, channel, id_scope, text, sources, meta, turn_id,
                          delivery)
    SELECT :commit_id, id, 'out', 'assistant', channel, '', :reply, CAST(:sources AS jsonb), CAST(:reply_meta AS jsonb),
           :turn_id, {DELIVERY}
      FROM conversation_after WHERE CAST(:reply AS text) IS NOT NULL
)"""

_THREAD = """
thread_after AS (
    INSERT INTO threads (frontend_context_uuid, conversation_id, backend_uuid, thread_url_slug, collection_uuid,
                         account_name, prompt_pack, turns)
    SELECT :frontend_context_uuid, conversation_id, :accepted_backend_uuid, :thread_url_slug, :collection_uuid,
           :account_name, :pack_told, (CAST(:accepted_backend_uuid AS text) IS NOT NULL)::int
      FROM won WHERE CAST(:account_name AS text) IS NOT NULL
    ON CONFLICT (frontend_context_uuid) DO UPDATE SET updated_at = agent_now(), turns = threads.turns + excluded.turns,
           backend_uuid = coalesce(excluded.backend_uuid, threads.backend_uuid),
           thread_url_slug = coalesce(excluded.thread_url_slug, threads.thread_url_slug),
           account_name = excluded.account_name,
           collection_uuid = coalesce(excluded.collection_uuid, threads.collection_uuid),
           prompt_pack = coalesce(excluded.prompt_pack, threads.prompt_pack)
)"""

_LOST_THREAD = """
lost_thread AS (
    UPDATE threads SET ended_at = agent_now(), end_reason = 'lost'
     WHERE frontend_context_uuid = :lost_thread AND ended_at IS NULL AND EXISTS (SELECT 1 FROM won)
)"""

_OUTPUT = f"""
output AS (
    INSERT INTO raw_outputs ({_RAW_COLUMNS}, used)
    SELECT :output_id, :turn_id, :conversation_id, :attempt, :output_purpose, :output_verdict, CAST(:errors AS jsonb),
           CAST(:notes AS jsonb), NULL, NULL, :raw_text, CAST(:details AS jsonb), :prompt_pack, :pack_echoed,
           :output_backend_uuid, :model_ms, :first_text_ms, EXISTS (SELECT 1 FROM won)
     WHERE CAST(:output_id AS uuid) IS NOT NULL
    ON CONFLICT DO NOTHING
)"""

_ACTIONS = """
closed AS (
    UPDATE actions SET status = :closed_status, settled_at = agent_now()
     WHERE id = :closed_id AND status = 'awaiting_confirmation' AND EXISTS (SELECT 1 FROM won)
), confirmed AS (
    UPDATE actions SET status = 'planned', turn_id = :turn_id, index = :action_index, decided_by = 'customer'
     WHERE id = :confirmed_id AND status = 'awaiting_confirmation' AND EXISTS (SELECT 1 FROM won)
    RETURNING effect_key, name, request_hash, metadata
), action AS (
    INSERT INTO actions (id, turn_id, conversation_id, index, name, reason, metadata, status, digest, request_hash,
                         effect_key, confirmation_by, expires_at, asked_seq, return_to, side_effect, assistant_version)
    SELECT :action_id, :turn_id, :conversation_id, :action_index, :action_name, :action_reason,
           CAST(:action_metadata AS jsonb), :action_status, :action_digest, :request_hash, :effect_key,
           :confirmation_by, :expires_at, (SELECT last_seq FROM conversations WHERE id = :conversation_id), :return_to,
           :side_effect, won.assistant_version
      FROM won WHERE CAST(:action_id AS uuid) IS NOT NULL
), effect AS (
    INSERT INTO effects (key, conversation_id, turn_id, kind, request_hash, request)
    SELECT effect_key, CAST(:conversation_id AS uuid), CAST(:turn_id AS uuid), name, request_hash, metadata
      FROM confirmed
    UNION ALL
    SELECT :effect_key, :conversation_id, :turn_id, :action_name, :request_hash, CAST(:action_metadata AS jsonb)
      FROM won WHERE :action_status = 'planned' AND CAST(:action_id AS uuid) IS NOT NULL
), handoff AS (
    UPDATE handoffs SET released_at = agent_now(), released_by = 'assistant'
     WHERE conversation_id = :conversation_id AND released_at IS NULL AND CAST(:finishes AS boolean)
       AND :state <> 'human_handoff' AND EXISTS (SELECT 1 FROM won)
)"""

_PLACE = """
place AS (DELETE FROM account_places WHERE conversation_id = :conversation_id AND EXISTS (SELECT 1 FROM won))"""

COMMIT = f"""
WITH {_WON}, {_CONVERSATION}, {_REPLY}, {_THREAD}, {_LOST_THREAD}, {_FREE_SLOT}, {_PLACE}, {_OUTPUT}, {_ACTIONS}
SELECT {_STANDING}, coalesce(:thread_url_slug, thread.thread_url_slug) AS thread_url_slug,
       coalesce(:action_id, :confirmed_id, {_NEWEST_ACTION}) AS action_id
  FROM won turn
  JOIN conversations conversation ON conversation.id = turn.conversation_id
  LEFT JOIN threads thread ON thread.frontend_context_uuid = turn.frontend_context_uuid
"""
"""One step's outcome, all of it or nothing; no row if the step is another's by now."""

RECAP = f"""
SELECT direction, author, text FROM messages
 WHERE conversation_id IN {WITH_MERGED} AND text <> ''
   AND (direction = 'out' OR direction = 'in' AND (seq < :before_seq OR conversation_id <> :conversation_id))
 ORDER BY stored_at DESC LIMIT :limit
"""

NEWEST_SEQ = "SELECT last_seq FROM conversations WHERE id = :conversation_id"

LAST_INVALID = """
SELECT text, errors FROM raw_outputs WHERE turn_id = :turn_id AND verdict = 'invalid' AND used
 ORDER BY created_at DESC LIMIT 1
"""
