"""The statements behind `storage.turns`, one round trip each.

Every write names the turn's fence or asks that it is unfinished, so of several attempts alive at once one takes
effect and the others touch no row; what they brought is stored all the same, as not used.
"""

from __future__ import annotations

from storage.channels import DELIVERY

TAKE = """
WITH waiting AS (
    SELECT id, seq, kind, text, meta ->> 'choice_id' AS choice_id, meta ->> 'limited' AS limited, meta ? 'media'
           AS has_media, channel_message_id, sent_at, stored_at, wants_stream, request_id FROM messages
     WHERE conversation_id = :conversation_id AND direction = 'in' AND seq > :cursor
       AND (NOT CAST(:goes_on AS boolean) OR seq <= (SELECT last_seq FROM turns
             WHERE conversation_id = :conversation_id AND first_seq = CAST(:cursor AS bigint) + 1))
     ORDER BY seq LIMIT :limit
), taken AS (
    INSERT INTO turns (conversation_id, first_seq, last_seq, status, frontend_context_uuid)
    SELECT :conversation_id, min(seq), max(seq), 'asking', :frontend_context_uuid FROM waiting HAVING count(*) > 0
    ON CONFLICT (conversation_id, first_seq) DO UPDATE SET
        attempt = turns.attempt + (turns.status = ANY(:may_be_asked))::int,
        unsettled = turns.unsettled + (turns.status = 'asking')::int,
        status = CASE WHEN turns.status = ANY(:may_be_asked) THEN 'asking' ELSE turns.status END
    RETURNING *
)
SELECT taken.id, taken.conversation_id, taken.first_seq, taken.last_seq, taken.status, taken.attempt, taken.unsettled,
       taken.settled_attempts, taken.started_at, taken.state, taken.verdict, taken.finished_at,
       taken.frontend_context_uuid, taken.backend_uuid, taken.ticket_id, thread.thread_url_slug,
       coalesce(CASE WHEN CAST(:goes_on AS boolean) THEN taken.prompt_pack END, thread.prompt_pack) AS pack_told,
       conversation.assistant, conversation.channel, conversation.account, conversation.state AS conversation_state,
       (SELECT max(version) FROM configurations c WHERE c.assistant = conversation.assistant) AS assistant_version,
       (SELECT a.id FROM actions a WHERE a.turn_id = taken.id ORDER BY a.index DESC LIMIT 1) AS action_id,
       (SELECT to_jsonb(p) FROM actions p WHERE p.conversation_id = :conversation_id
           AND p.status = 'awaiting_confirmation' AND p.confirmation_by = 'customer'
         ORDER BY p.created_at DESC LIMIT 1) AS question,
       (SELECT jsonb_agg(to_jsonb(waiting) ORDER BY sent_at NULLS LAST, seq) FROM waiting) AS messages
  FROM taken
  JOIN conversations conversation ON conversation.id = :conversation_id
  LEFT JOIN threads thread ON thread.frontend_context_uuid = :frontend_context_uuid
"""

_RAW_COLUMNS = """id, turn_id, conversation_id, attempt, purpose, verdict, errors, notes, failure, explanation, text,
                  details, prompt_pack, backend_uuid, model_ms, first_text_ms"""

_FREE_SLOT = "slot AS (UPDATE account_calls SET ended_at = now() WHERE id = :slot)"

_OUTPUT = f"""
output AS (
    INSERT INTO raw_outputs ({_RAW_COLUMNS}, used)
    SELECT :raw_output_id, :turn_id, :conversation_id, :attempt, :purpose, :output_verdict, CAST(:errors AS jsonb),
           CAST(:notes AS jsonb), NULL, NULL, :raw_text, CAST(:details AS jsonb), :prompt_pack, :output_backend_uuid,
           :model_ms, :first_text_ms, EXISTS (SELECT 1 FROM won)
     WHERE CAST(:raw_output_id AS uuid) IS NOT NULL
)"""

_ACTION_COLUMNS = """id, turn_id, conversation_id, index, name, reason, metadata, status, digest, request_hash,
                     effect_key, confirmation_by, expires_at, asked_seq, return_to"""
_ACTION_VALUES = """:action_id, :turn_id, :conversation_id, :action_index, :action_name, :action_reason,
                    CAST(:action_metadata AS jsonb), :action_status, :action_digest, :request_hash, :effect_key,
                    :confirmation_by, :expires_at,
                    (SELECT last_seq FROM conversations WHERE id = :conversation_id), :return_to"""

_PENDING = """
pending AS (
    UPDATE actions SET status = :pending_status, settled_at = now()
     WHERE id = :pending_id AND status = 'awaiting_confirmation' AND EXISTS (SELECT 1 FROM won)
)"""

SETTLE_FAILED = f"""
WITH settled AS (
    UPDATE turns SET status = 'failed', failure = :failure, unsettled = unsettled + :unsettled
     WHERE id = :turn_id AND attempt = :attempt AND status = 'asking' RETURNING id
), {_FREE_SLOT}
INSERT INTO raw_outputs ({_RAW_COLUMNS})
VALUES (:raw_output_id, :turn_id, :conversation_id, :attempt, :purpose, NULL, '[]', '[]', :failure, :explanation,
        :text, '{{}}', NULL, NULL, :model_ms, :first_text_ms)
"""

KEEP_OUTPUT = f"""
WITH won AS (
    UPDATE turns SET status = :status, verdict = :output_verdict, last_seq = :last_seq, settled_attempts = attempt,
           unsettled = 0, frontend_context_uuid = :frontend_context_uuid, backend_uuid = :output_backend_uuid,
           handler = coalesce(:handler, handler), prompt_pack = :prompt_pack,
           model_ms = coalesce(model_ms, 0) + :model_ms, first_text_ms = coalesce(first_text_ms, :first_text_ms)
     WHERE id = :turn_id AND attempt = :attempt AND status = 'asking' RETURNING id
), {_FREE_SLOT}, {_OUTPUT}, {_PENDING}, effect AS (
    INSERT INTO effects (key, conversation_id, turn_id, kind, request_hash, request)
    SELECT :effect_key, :conversation_id, :turn_id, :action_name, :request_hash, CAST(:action_metadata AS jsonb)
      FROM won WHERE CAST(:action_id AS uuid) IS NOT NULL
), planned AS (
    INSERT INTO actions ({_ACTION_COLUMNS})
    SELECT {_ACTION_VALUES} FROM won WHERE CAST(:action_id AS uuid) IS NOT NULL
)
SELECT EXISTS (SELECT 1 FROM won) AS won
"""
"""An output that is not the end of the turn: an invalid one, or an accepted action with its place in the ledger."""

CONFIRM_PENDING = """
WITH won AS (
    UPDATE turns SET status = 'acting', verdict = 'action', settled_attempts = attempt, unsettled = 0,
           last_seq = :last_seq, handler = :handler
     WHERE id = :turn_id AND attempt = :attempt AND status = 'asking' RETURNING id
), effect AS (
    INSERT INTO effects (key, conversation_id, turn_id, kind, request_hash, request)
    SELECT effect_key, conversation_id, :turn_id, name, request_hash, metadata FROM actions
     WHERE id = :pending_id AND status = 'awaiting_confirmation' AND EXISTS (SELECT 1 FROM won)
), action AS (
    UPDATE actions SET status = 'planned', turn_id = :turn_id, decided_by = :decided_by
     WHERE id = :pending_id AND status = 'awaiting_confirmation' AND EXISTS (SELECT 1 FROM won)
)
SELECT EXISTS (SELECT 1 FROM won) AS won
"""
"""The customer said yes: the action that was asked back gets its place in the ledger and belongs to this turn."""

NEWEST_SEQ = "SELECT last_seq FROM conversations WHERE id = :conversation_id"

LAST_INVALID = """
SELECT text, errors FROM raw_outputs WHERE turn_id = :turn_id AND verdict = 'invalid' ORDER BY created_at DESC LIMIT 1
"""

FINISH = f"""
WITH won AS (
    UPDATE turns SET status = :status, last_seq = :last_seq, state = :state, verdict = coalesce(:verdict, verdict),
           failure = :failure, handler = coalesce(:handler, handler), assistant_version = :assistant_version,
           frontend_context_uuid = :frontend_context_uuid, backend_uuid = coalesce(:backend_uuid, backend_uuid),
           ticket_id = :ticket_id, prompt_pack = coalesce(:prompt_pack, prompt_pack),
           model_ms = coalesce(model_ms + :model_ms, model_ms, :model_ms),
           first_text_ms = coalesce(first_text_ms, :first_text_ms),
           finished_at = now()
     WHERE id = :turn_id AND finished_at IS NULL AND status <> ALL(:not_if) RETURNING id
), conversation AS (
    UPDATE conversations SET cursor = greatest(cursor, :last_seq), turns = turns + 1, state = :state
     WHERE id = :conversation_id AND EXISTS (SELECT 1 FROM won) RETURNING id, channel, account
), reply AS (
    INSERT INTO messages (id, conversation_id, direction, author, channel, id_scope, text, sources, meta, turn_id,
                          delivery)
    SELECT :reply_id, id, 'out', 'assistant', channel, '', :reply, CAST(:sources AS jsonb), CAST(:reply_meta AS jsonb),
           :turn_id, {DELIVERY}
      FROM conversation WHERE CAST(:reply AS text) IS NOT NULL
), thread AS (
    INSERT INTO threads (frontend_context_uuid, conversation_id, backend_uuid, thread_url_slug, collection_uuid,
                         account_name, prompt_pack, turns)
    SELECT :frontend_context_uuid, id, :backend_uuid, :thread_url_slug, :collection_uuid, :account_name, :prompt_pack, 1
      FROM conversation WHERE CAST(:backend_uuid AS text) IS NOT NULL
    ON CONFLICT (frontend_context_uuid) DO UPDATE SET backend_uuid = excluded.backend_uuid, updated_at = now(),
           thread_url_slug = coalesce(excluded.thread_url_slug, threads.thread_url_slug), turns = threads.turns + 1,
           account_name = coalesce(nullif(excluded.account_name, ''), threads.account_name),
           collection_uuid = coalesce(excluded.collection_uuid, threads.collection_uuid),
           prompt_pack = coalesce(excluded.prompt_pack, threads.prompt_pack)
), {_FREE_SLOT}, {_OUTPUT}, {_PENDING}, asked AS (
    INSERT INTO actions ({_ACTION_COLUMNS})
    SELECT {_ACTION_VALUES} FROM conversation WHERE CAST(:action_id AS uuid) IS NOT NULL
), handoff AS (
    UPDATE handoffs SET released_at = now(), released_by = 'assistant'
     WHERE conversation_id = :conversation_id AND released_at IS NULL AND :state <> 'human_handoff'
       AND EXISTS (SELECT 1 FROM won)
)
SELECT EXISTS (SELECT 1 FROM won) AS won
"""
"""The end of a turn: reply, cursor, thread, raw output, and an action that is asked back, refused or settled."""
