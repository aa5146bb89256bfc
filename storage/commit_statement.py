"""COMMIT, the statement that ends a step of a turn: all of its outcome or nothing. Its values: `storage.turn_commits`.

A turn's `step` is its fence for outcomes: a commit names the step it belongs to and raises it, so within a step the
first committed output wins, and what an earlier step or attempt brings later touches no row. What it brought is kept
all the same, as not used. `commit_id` lets a repeated commit find that it was the one.

The owner's version is the fence against people: a claim notes it, and a commit that finds a newer one does not do as
was decided. It *withholds* (what came is kept, nothing is sent, no action begins), or, where the bot has the
conversation all the same and no action of the turn began, puts the turn *again*. Words of an action that was done
are sent all the same, unless a person has the conversation. An action that is a change of the owner is not done.
"""

from __future__ import annotations

from schemas.questions import CUSTOMER
from storage.actions import EFFECT_OF_ACTION
from storage.channels import DELIVERY
from storage.turns import NEWEST_ACTION, TURN

RAW_COLUMNS = """id, turn_id, conversation_id, attempt, purpose, verdict, errors, notes, failure, explanation, text,
                  details, prompt_pack, pack_echoed, backend_uuid, model_ms, first_text_ms"""

_FATE = """
moving AS MATERIALIZED (
    SELECT key FROM effects WHERE key = :moving_key FOR UPDATE
), locked AS MATERIALIZED (
    SELECT * FROM turns WHERE id = :turn_id AND (SELECT count(*) FROM moving) >= 0 FOR UPDATE
), mine AS MATERIALIZED (
    SELECT id, conversation_id, status FROM locked
     WHERE step = :step AND finished_at IS NULL AND status = ANY(:from_statuses) AND owner_version = :owner_version
), place AS MATERIALIZED (
    SELECT c.id, c.owner, c.owner_version, c.thread_version, c.newest_seq, c.merges
      FROM conversations c
     WHERE c.id = (SELECT conversation_id FROM mine) FOR NO KEY UPDATE
), answered AS MATERIALIZED (
    SELECT id FROM actions
     WHERE id = :answered_id AND status = 'awaiting_confirmation'
       AND EXISTS (SELECT 1 FROM place WHERE merges = CAST(:merges AS bigint)
                      AND newest_seq = coalesce(CAST(:read_seq AS bigint), newest_seq)) FOR UPDATE
), fate AS (
    SELECT place.*, CASE WHEN place.owner_version = CAST(:owner_version AS bigint)
                          AND (CAST(:answered_id AS uuid) IS NULL OR EXISTS (SELECT 1 FROM answered)) THEN 'decided'
                         WHEN place.owner = 'bot' AND CAST(:again AS boolean) THEN 'again'
                         WHEN place.owner <> 'human' AND CAST(:says_what_is_done AS boolean) THEN 'decided'
                         ELSE 'withheld' END AS fate FROM place
), owned AS (
    SELECT fate.*, fate = 'withheld' OR fate = 'decided' AND CAST(:finishes AS boolean) AS finishes,
           CASE WHEN fate = 'decided' THEN coalesce(CAST(:owner AS text), owner) ELSE owner END AS owner_after,
           owner_version + (fate = 'decided' AND coalesce(CAST(:owner AS text), owner) <> owner)::int AS version_after
      FROM fate
), open AS (
    SELECT count(*) FILTER (WHERE confirmation_by = 'customer') AS questions,
           count(*) FILTER (WHERE confirmation_by = 'customer' AND expires_at > agent_now()) AS in_time,
           count(*) FILTER (WHERE confirmation_by = 'staff') AS approvals, min(expires_at) AS next_deadline
      FROM actions WHERE conversation_id = :conversation_id AND status = 'awaiting_confirmation'
       AND id IS DISTINCT FROM CAST(:closed_id AS uuid) AND id IS DISTINCT FROM CAST(:confirmed_id AS uuid)
), asked AS (
    SELECT (fate = 'decided' AND :action_status = 'awaiting_confirmation' AND :confirmation_by = 'customer')::int
           AS questions,
           (fate = 'decided' AND :action_status = 'awaiting_confirmation' AND :confirmation_by = 'staff')::int
           AS approvals,
           CASE WHEN fate = 'decided' AND :action_status = 'awaiting_confirmation'
                THEN CAST(:expires_at AS timestamptz) END AS deadline
      FROM fate
), after AS (
    SELECT owned.*, stays.questions,
           open.approvals + asked.approvals AS approvals,
           least(open.next_deadline, asked.deadline) AS next_deadline, still.tickets, still.deliveries,
           state_of(owner_after, stays.in_time, cardinality(still.tickets)) AS state
      FROM owned, open, asked, standings still, LATERAL (
           SELECT CASE WHEN asked.questions = 1 THEN 1 WHEN dropped THEN 0 ELSE open.questions END AS questions,
                  CASE WHEN asked.questions = 1 THEN 1 WHEN dropped THEN 0 ELSE open.in_time END AS in_time
             FROM (SELECT fate = 'decided' AND CAST(:drops_question AS boolean) AS dropped) AS questions_end) AS stays
     WHERE still.conversation_id = owned.id
)"""
"""What becomes of the step: the turn is locked (after the effect that the step was, if it was one), then the
conversation, so that a change of the owner comes before or after. An answer to a question that has ended meanwhile, or
from before a merge that brought other words, or before words were revised, is no answer, nor is a yes in plain words
from before a newer message: the step begins again, and its next claim reads them. `after` is where the conversation
stands once the commit is done."""

_WON = """
won AS (
    UPDATE turns SET step = step + 1, commit_id = :commit_id, times_asked = 0, unknown_attempts = 0,
           status = CASE WHEN after.fate = 'decided' OR after.fate = 'withheld' AND :status = 'held' THEN :status
                    WHEN after.fate = 'withheld' THEN 'withheld'
                    WHEN purpose = 'conclude' OR is_done(turns.id) THEN 'resulted' ELSE 'reopened' END,
           purpose = CASE WHEN after.fate <> 'again' THEN purpose
                     WHEN purpose = 'conclude' OR is_done(turns.id) THEN 'conclude' ELSE 'answer' END,
           last_seq = :last_seq, state = CASE WHEN after.finishes THEN after.state ELSE turns.state END,
           owner_version = after.version_after,
           thread_version = CASE WHEN after.fate = 'decided' THEN :owner_version ELSE turns.thread_version END,
           verdict = coalesce(:verdict, verdict), failure = CASE WHEN after.fate = 'decided' THEN :failure END,
           handler = coalesce(:handler, handler),
           frontend_context_uuid = CASE WHEN CAST(:account_name AS text) IS NULL THEN frontend_context_uuid
                                   ELSE :frontend_context_uuid END,
           backend_uuid = CASE WHEN after.fate = 'decided' THEN coalesce(:accepted_backend_uuid, backend_uuid)
                          ELSE backend_uuid END,
           newest_backend_uuid = CASE WHEN after.fate <> 'again'
                                 THEN coalesce(:output_backend_uuid, newest_backend_uuid)
                                 WHEN purpose = 'conclude' OR is_done(turns.id) THEN newest_backend_uuid END,
           ticket_id = coalesce(:ticket_id, ticket_id), prompt_pack = coalesce(:pack_told, prompt_pack),
           repairs = CASE WHEN after.fate = 'again' THEN 0 ELSE repairs + (:status = 'invalid')::int END,
           model_ms = coalesce(model_ms + :model_ms, model_ms, :model_ms),
           first_text_ms = coalesce(first_text_ms, :first_text_ms),
           finished_at = CASE WHEN after.finishes THEN agent_now() END
      FROM after
     WHERE turns.id = :turn_id AND step = :step AND finished_at IS NULL AND status = ANY(:from_statuses)
    RETURNING turns.*
)"""

_CONVERSATION = """
conversation_after AS (
    UPDATE conversations SET cursor = CASE WHEN after.finishes THEN greatest(cursor, :last_seq) ELSE cursor END,
           turns = turns + after.finishes::int, owner = after.owner_after, owner_version = after.version_after,
           taken_version = CASE WHEN after.owner_after = 'human' AND after.owner <> 'human' THEN after.version_after
                           ELSE taken_version END,
           merges_told_at = CASE WHEN after.fate = 'decided' THEN greatest(merges_told_at, :merges_told)
                            ELSE merges_told_at END
      FROM after
     WHERE conversations.id = after.id AND (after.finishes OR after.owner_after <> after.owner
                                            OR CAST(:merges_told AS timestamptz) IS NOT NULL)
       AND EXISTS (SELECT 1 FROM won)
    RETURNING conversations.id, channel, account
), transition AS (
    INSERT INTO transitions (conversation_id, version, from_owner, to_owner, why, who, turn_id)
    SELECT after.id, after.version_after, CASE WHEN n = 1 AND CAST(:owner AS text) IS NOT NULL THEN after.owner
           ELSE after.owner_after END, after.owner_after, each ->> 'why', each ->> 'who', :turn_id
      FROM after, won, jsonb_array_elements(CAST(:transitions AS jsonb)) WITH ORDINALITY AS given(each, n)
     WHERE after.fate = 'decided'
     ORDER BY n
)"""

_REPLY = f"""
reply AS (
    INSERT INTO messages (id, conversation_id, direction, author, channel, id_scope, text, sources, meta, turn_id,
                          owner_version, delivery)
    SELECT :commit_id, conversation_after.id, 'out', 'assistant', channel, '', words, CAST(:sources AS jsonb),
           CASE WHEN is_kept THEN '{{}}' ELSE CAST(:reply_meta AS jsonb) END, :turn_id, after.version_after,
           CASE WHEN is_kept THEN 'withheld' ELSE {DELIVERY} END
      FROM conversation_after, after,
           LATERAL (SELECT after.fate = 'withheld' OR :status IN ('held', 'withheld') AS is_kept) AS end_of_turn,
           LATERAL (SELECT CASE WHEN is_kept THEN CAST(:kept AS text) ELSE CAST(:reply AS text) END AS words) AS said
     WHERE words IS NOT NULL AND after.fate <> 'again'
)"""

_THREAD = """
thread_after AS (
    INSERT INTO threads (frontend_context_uuid, conversation_id, backend_uuid, thread_url_slug, collection_uuid,
                         account_name, prompt_pack, turns, ended_at, end_reason)
    SELECT :frontend_context_uuid, conversation_id,
           CASE WHEN after.fate = 'decided' THEN CAST(:accepted_backend_uuid AS text) END, :thread_url_slug,
           :collection_uuid, :account_name, :pack_told,
           (after.fate = 'decided' AND CAST(:accepted_backend_uuid AS text) IS NOT NULL)::int,
           CASE WHEN is_old OR after.fate = 'withheld' THEN agent_now() END,
           CASE WHEN is_old THEN 'reset' WHEN after.fate = 'withheld' THEN 'replaced' END
      FROM won, after, LATERAL (SELECT won.thread_version < after.thread_version AS is_old) AS reset
     WHERE CAST(:account_name AS text) IS NOT NULL AND (after.fate <> 'again' OR is_old)
    ON CONFLICT (frontend_context_uuid) DO UPDATE SET updated_at = agent_now(), turns = threads.turns + excluded.turns,
           backend_uuid = coalesce(excluded.backend_uuid, threads.backend_uuid),
           thread_url_slug = coalesce(excluded.thread_url_slug, threads.thread_url_slug),
           account_name = excluded.account_name,
           collection_uuid = coalesce(excluded.collection_uuid, threads.collection_uuid),
           prompt_pack = coalesce(excluded.prompt_pack, threads.prompt_pack)
)"""
"""A new thread whose first output is withheld ends at once, and so does one that a reset has overtaken. A step that is
asked again stores no other: one thread is in use."""

_DECIDED = "EXISTS (SELECT 1 FROM won, after WHERE after.fate = 'decided')"

_OTHER_THREADS = f"""
other_threads AS (
    UPDATE threads SET ended_at = agent_now(),
           end_reason = CASE WHEN frontend_context_uuid = :lost_thread THEN 'lost' ELSE 'replaced' END
     WHERE conversation_id = :conversation_id AND frontend_context_uuid <> :frontend_context_uuid
       AND ended_at IS NULL AND CAST(:account_name AS text) IS NOT NULL AND {_DECIDED}
)"""
"""One thread is in use: that of the newest output. Others end: upstream forgot them, or no answer of theirs counts."""

_OUTPUT = f"""
output AS (
    INSERT INTO raw_outputs ({RAW_COLUMNS}, used)
    SELECT :output_id, :turn_id, :conversation_id, :attempt, :output_purpose, :output_verdict, CAST(:errors AS jsonb),
           CAST(:notes AS jsonb), NULL, NULL, :raw_text, CAST(:details AS jsonb), :prompt_pack, :pack_echoed,
           :output_backend_uuid, :model_ms, :first_text_ms,
           EXISTS (SELECT 1 FROM won, after WHERE after.fate <> 'again')
     WHERE CAST(:output_id AS uuid) IS NOT NULL
    ON CONFLICT DO NOTHING
)"""

_ACTIONS = f"""
closed AS (
    UPDATE actions SET status = :closed_status, decided_by = :closed_by, settled_at = agent_now()
     WHERE id = :closed_id AND status = 'awaiting_confirmation' AND {_DECIDED}
), superseded AS (
    UPDATE actions SET status = 'cancelled', settled_at = agent_now()
     WHERE conversation_id = :conversation_id AND status = 'awaiting_confirmation' AND confirmation_by = 'customer'
       AND id IS DISTINCT FROM CAST(:closed_id AS uuid) AND id IS DISTINCT FROM CAST(:confirmed_id AS uuid)
       AND ((SELECT questions FROM asked) = 1 OR CAST(:drops_question AS boolean)) AND {_DECIDED}
    RETURNING id
), superseding AS (
    INSERT INTO transitions (conversation_id, version, from_owner, to_owner, why, who, turn_id)
    SELECT after.id, after.version_after, after.owner_after, after.owner_after, 'cancelled', 'assistant', :turn_id
      FROM superseded, after
), confirmed AS (
    UPDATE actions SET status = 'accepted', turn_id = :turn_id, index = :action_index, decided_by = '{CUSTOMER}',
           settled_at = agent_now()
     WHERE id = :confirmed_id AND status = 'awaiting_confirmation' AND {_DECIDED}
    RETURNING *
), action AS (
    INSERT INTO actions (id, turn_id, conversation_id, index, name, reason, metadata, status, digest, request_hash,
                         effect_key, confirmation_by, expires_at, asked_seq, side_effect, stands, recovery,
                         assistant, assistant_version)
    SELECT :action_id, :turn_id, :conversation_id, :action_index, :action_name, :action_reason,
           CAST(:action_metadata AS jsonb), CASE WHEN after.fate = 'withheld' THEN 'cancelled' ELSE :action_status END,
           :action_digest, :request_hash, :effect_key, :confirmation_by, :expires_at,
           (SELECT newest_seq FROM conversations WHERE id = :conversation_id), :side_effect, :stands, :recovery,
           (SELECT assistant FROM conversations WHERE id = :conversation_id), won.assistant_version
      FROM won, after WHERE CAST(:action_id AS uuid) IS NOT NULL AND after.fate <> 'again'
    RETURNING *
), effect AS ({EFFECT_OF_ACTION}, after.version_after
      FROM (SELECT * FROM confirmed UNION ALL SELECT * FROM action) AS each, after WHERE each.status = 'accepted'
), undone AS (
    UPDATE effects SET status = 'failed', failure = 'withheld', fence = fence + 1, settled_at = agent_now(),
           error = jsonb_build_object('explanation', 'another owner has the conversation')
     WHERE key = :moving_key AND EXISTS (SELECT 1 FROM won, after WHERE after.fate <> 'decided')
    RETURNING key
), unaccepted AS (
    UPDATE actions SET status = 'cancelled' WHERE effect_key IN (SELECT key FROM undone)
), handoff AS (
    INSERT INTO handoffs (conversation_id, team, reason, opened_by)
    SELECT after.id, 'support', 'called by an action', 'assistant' FROM won, after
     WHERE after.owner_after = 'human' AND after.owner <> 'human'
    ON CONFLICT DO NOTHING
)"""

_FREE_SLOTS = """
slots AS (
    UPDATE account_calls SET ended_at = agent_now()
     WHERE ended_at IS NULL AND (id = :slot OR turn_id IN (SELECT id FROM won))
)"""
"""The output's own, and with the step's outcome what its dead attempts left."""

_QUEUE = """
queue AS (DELETE FROM account_places WHERE conversation_id = :conversation_id AND EXISTS (SELECT 1 FROM won))"""

COMMIT = f"""
/* the commit of a step, which is known by its commit_id */
WITH {_FATE}, {_WON}, {_CONVERSATION}, {_REPLY}, {_THREAD}, {_OTHER_THREADS}, {_FREE_SLOTS}, {_QUEUE}, {_OUTPUT},
     {_ACTIONS}
SELECT {TURN}, coalesce(:thread_url_slug, thread.thread_url_slug) AS thread_url_slug,
       coalesce(:action_id, :confirmed_id, {NEWEST_ACTION}) AS action_id,
       jsonb_build_object('owner', after.owner_after, 'version', after.version_after, 'questions', after.questions,
           'approvals', after.approvals, 'tickets', after.tickets, 'seconds_left',
           extract(epoch FROM after.next_deadline - agent_now()),
           'deliveries', after.deliveries + (SELECT count(*) FROM conversation_after
              WHERE CAST(:reply AS text) IS NOT NULL AND after.fate = 'decided' AND {DELIVERY} = 'due')) AS standing
  FROM won turn CROSS JOIN after
  JOIN conversations conversation ON conversation.id = turn.conversation_id
  LEFT JOIN threads thread ON thread.frontend_context_uuid = turn.frontend_context_uuid
"""
"""One step's outcome, all of it or nothing; no row if the step is another's by now."""
