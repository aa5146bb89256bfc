-- Who has a conversation, the state that follows, and how that changes from outside: `change_owner`. A turn changes it
-- with its commit (storage/commit_statement.py). See docs/ownership.md.

-- state_of: the state as callers know it, from who has the conversation and what is open. Its twin in Python is
-- schemas.standing.Standing.state; tests/integration/test_transitions.py compares them in every combination. The owner
-- goes before what is open, a question to the customer before a ticket.
CREATE OR REPLACE FUNCTION state_of(p_owner text, p_questions bigint, p_tickets bigint)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN p_owner = 'closed' THEN 'closed' WHEN p_owner = 'human' THEN 'human_handoff'
                WHEN p_questions > 0 THEN 'awaiting_confirmation' WHEN p_tickets > 0 THEN 'ticket_open' ELSE 'bot' END
$$;

-- state: a conversation's state, written as if it were a column: `conversations.state`.
CREATE OR REPLACE FUNCTION state(p_conversation conversations) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT s.state FROM standings s WHERE s.conversation_id = p_conversation.id
$$;

-- is_stopped: an operator cancelled its run, and the customer has not written since: nobody carries on what it owes. A
-- merged one is stopped only as long as the one that goes on is: that is where the customer writes.
CREATE OR REPLACE FUNCTION is_stopped(p_conversation conversations) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce(p_conversation.stopped_seq >= p_conversation.newest_seq, false)
       AND NOT EXISTS (SELECT 1 FROM conversations c WHERE c.id = p_conversation.merged_into
                          AND c.newest_seq > coalesce(c.stopped_seq, -1))
$$;

-- change_owner: a conversation's owner changes at once, under the next version: what a turn begun before it brings is
-- not sent. *p_rules* is the gates' row of *p_event*: for each owner what follows, `to`: the next owner, `drops`: whose
-- questions end (customer, staff), `anew`: a new version in any case, `note`: a transition in any case, `answers`: what
-- was held is answered where the bot has it in any case; an owner without a rule stays. An open handoff is released, or
-- one is opened, as the owner says. With *p_new_thread* the thread in use ends. With *p_version* nothing changes but
-- under that version of the owner: who decided saw no newer one.
-- Returns the conversation's owner as it is then, whether anything changed, and the number of the newest message
-- where the change leaves something to be answered or sent. An erased customer's stays closed.
CREATE OR REPLACE FUNCTION change_owner(
    p_conversation uuid, p_event text, p_rules jsonb, p_who text, p_reason text, p_turn uuid DEFAULT NULL,
    p_new_thread boolean DEFAULT false, p_version bigint DEFAULT NULL
) RETURNS TABLE (changed boolean, owner text, version bigint, waiting_seq bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_before conversations%ROWTYPE;
    v_rule jsonb;
    v_to text;
    v_version bigint;
    v_dropped bigint;
BEGIN
    SELECT * INTO v_before FROM conversations WHERE id = p_conversation FOR NO KEY UPDATE;
    IF NOT FOUND THEN RETURN; END IF;
    IF p_version <> v_before.owner_version THEN
        RETURN QUERY SELECT false, v_before.owner, v_before.owner_version, NULL::bigint;
        RETURN;
    END IF;
    v_rule := coalesce(p_rules -> v_before.owner, '{}')
              - CASE WHEN is_erased(p_conversation) THEN '{to, anew}'::text[] ELSE '{}' END;
    v_to := coalesce(v_rule ->> 'to', v_before.owner);
    v_version := v_before.owner_version
                 + (v_to <> v_before.owner OR coalesce((v_rule ->> 'anew')::boolean, false))::int;
    v_dropped := cancel_questions(p_conversation, v_rule -> 'drops', v_version, v_to, p_who, p_turn);
    IF v_version <> v_before.owner_version OR coalesce((v_rule ->> 'note')::boolean, false) THEN
        INSERT INTO transitions (conversation_id, version, from_owner, to_owner, why, who, turn_id)
        VALUES (p_conversation, v_version, v_before.owner, v_to, p_event, p_who, p_turn);
    END IF;
    IF v_version <> v_before.owner_version THEN
        UPDATE conversations SET owner = v_to, owner_version = v_version,
               taken_version = CASE WHEN v_to = 'human' THEN v_version ELSE taken_version END,
               stopped_seq = CASE WHEN (v_rule ->> 'anew')::boolean THEN NULL ELSE stopped_seq END,
               closed_seq = CASE WHEN v_to = 'closed' THEN newest_seq ELSE closed_seq END
         WHERE id = p_conversation;
    END IF;
    PERFORM open_or_release_handoff(p_conversation, v_before.owner, v_to, p_who, p_reason);
    IF p_new_thread THEN
        UPDATE threads SET ended_at = agent_now(), end_reason = 'reset'
         WHERE conversation_id = p_conversation AND ended_at IS NULL;
    END IF;
    IF (v_rule ->> 'answers')::boolean THEN
        PERFORM answer_held(p_conversation);
    END IF;
    RETURN QUERY
    SELECT v_version <> v_before.owner_version OR v_dropped > 0, v_to, v_version,
           CASE WHEN c.newest_seq > v_before.newest_seq  -- or this is repeated, and nobody was woken
                  OR EXISTS (SELECT 1 FROM messages k WHERE k.conversation_id = c.id AND k.kind = 'held'
                                AND k.seq > c.cursor)
                  OR (v_rule ->> 'anew')::boolean AND c.cursor < c.newest_seq
                  OR v_to = 'bot' AND EXISTS (
                         SELECT 1 FROM messages m WHERE m.conversation_id = c.id AND m.delivery = 'due')
                THEN c.newest_seq END
      FROM conversations c WHERE c.id = p_conversation;
END $$;

-- cancel_questions: of those whom *p_drops* names (customer, staff). Returns how many. Where a person comes to have the
-- conversation, what no caller over HTTP has read is withheld, as over a channel: what it answered is the person's.
CREATE OR REPLACE FUNCTION cancel_questions(
    p_conversation uuid, p_drops jsonb, p_version bigint, p_owner text, p_who text, p_turn uuid
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_dropped bigint;
BEGIN
    WITH dropped AS (
        UPDATE actions SET status = 'cancelled', settled_at = agent_now()
         WHERE conversation_id = p_conversation AND status = 'awaiting_confirmation' AND p_drops ? confirmation_by
        RETURNING id
    ), unread AS (
        UPDATE messages m SET delivery = 'withheld' FROM dropped
         WHERE m.conversation_id = p_conversation AND m.direction = 'out' AND m.meta ->> 'asks' = dropped.id::text
           AND m.delivery IS NULL AND NOT m.meta ?| '{given_at,done}' AND p_owner = 'human'
    )
    INSERT INTO transitions (conversation_id, version, from_owner, to_owner, why, who, turn_id)
    SELECT p_conversation, p_version, p_owner, p_owner, 'cancelled', p_who, p_turn FROM dropped;
    GET DIAGNOSTICS v_dropped = ROW_COUNT;
    RETURN v_dropped;
END $$;

-- open_or_release_handoff: one is opened where a person comes to have the conversation, for their own team; else none
-- stays open.
CREATE OR REPLACE FUNCTION open_or_release_handoff(
    p_conversation uuid, p_from text, p_to text, p_who text, p_reason text
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF p_to = 'human' AND p_from <> 'human' THEN
        INSERT INTO handoffs (conversation_id, team, reason, opened_by)
        VALUES (p_conversation, coalesce((SELECT u.teams[1] FROM users u WHERE 'user ' || u.email = p_who), 'support'),
                p_reason, p_who) ON CONFLICT DO NOTHING;
    ELSIF p_to <> 'human' THEN
        UPDATE handoffs SET released_at = agent_now(), released_by = p_who
         WHERE conversation_id = p_conversation AND released_at IS NULL;
    END IF;
END $$;

-- begin_new_thread: what is asked from the owner's version of now on is asked in a new thread. A turn knows the version
-- under which its thread was chosen, so a question that is under way is asked again in another one. It is told nothing,
-- also not of what was said in conversations that were merged into this one.
CREATE OR REPLACE FUNCTION begin_new_thread(p_conversation uuid) RETURNS void LANGUAGE sql AS $$
    UPDATE conversations SET thread_version = owner_version, merges_told_at = agent_now() WHERE id = p_conversation
$$;
