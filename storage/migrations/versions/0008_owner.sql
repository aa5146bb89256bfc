-- state_of: the state as callers know it, from who has the conversation and what is open: the one projection, as
-- schemas.standing.Standing.state. The owner goes before what is open, a question to the customer before a ticket.
CREATE FUNCTION state_of(p_owner text, p_questions bigint, p_tickets bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN p_owner = 'closed' THEN 'closed' WHEN p_owner = 'human' THEN 'human_handoff'
                WHEN p_questions > 0 THEN 'awaiting_confirmation' WHEN p_tickets > 0 THEN 'ticket_open' ELSE 'bot' END
$$;
--
-- standings: who has each conversation and what is open in it, as schemas.standing.Standing; read, never stored.
CREATE VIEW standings AS
SELECT c.id AS conversation_id, c.owner, c.owner_version AS version, asked.questions, asked.approvals, open.tickets,
       (SELECT count(*) FROM messages m WHERE m.conversation_id = c.id AND m.delivery = 'due') AS deliveries,
       asked.seconds_left, state_of(c.owner, asked.questions, cardinality(open.tickets)) AS state
  FROM conversations c
 CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE a.confirmation_by = 'customer') AS questions,
           count(*) FILTER (WHERE a.confirmation_by = 'staff') AS approvals,
           extract(epoch FROM min(a.expires_at) - agent_now())::float8 AS seconds_left
      FROM actions a WHERE a.conversation_id = c.id AND a.status = 'awaiting_confirmation') asked
 CROSS JOIN LATERAL (
    SELECT coalesce(array_agg('T-' || k.number ORDER BY k.number), '{}') AS tickets
      FROM tickets k WHERE k.conversation_id = c.id AND k.status NOT IN ('resolved', 'closed')) open;
--
-- state: a conversation's state, written as if it were a column: `conversations.state`.
CREATE FUNCTION state(p_conversation conversations) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT s.state FROM standings s WHERE s.conversation_id = p_conversation.id
$$;
--
-- held_messages: the customer's words that wait for a person: kept while one had the conversation, newer than staff's
-- last word, and not answered since in a turn that took them up again (a message of kind `held`, below).
CREATE FUNCTION held_messages(p_conversation uuid) RETURNS SETOF messages LANGUAGE sql STABLE AS $$
    SELECT m.* FROM turns t
      JOIN messages m ON m.conversation_id = t.conversation_id AND m.seq BETWEEN t.first_seq AND t.last_seq
     WHERE t.conversation_id = p_conversation AND t.status IN ('held', 'withheld') AND t.state = 'human_handoff'
       AND m.kind <> 'held'
       AND m.stored_at > coalesce((SELECT max(w.stored_at) FROM messages w WHERE w.conversation_id = p_conversation
                                      AND w.direction = 'out' AND w.author = 'agent'), '-infinity')
       AND m.seq > coalesce((SELECT max(k.seq) FROM messages k
                               JOIN turns u ON u.conversation_id = k.conversation_id AND k.seq >= u.first_seq
                                AND k.seq <= u.last_seq AND u.status IN ('answered', 'apologised')
                              WHERE k.conversation_id = p_conversation AND k.kind = 'held'), 0)
$$;
--
-- change_owner: a conversation's owner changes at once, under the next version: what a turn begun before it brings is
-- not sent. *p_rules* is the gates' row of *p_event*: for each owner what follows, `to`: the next owner, `drops`: whose
-- questions end (customer, staff), `anew`: a new version in any case, `note`: a transition in any case; an owner
-- without a rule stays. An open handoff is released, or one is opened, as the owner says. With *p_answer_held* a
-- release stores a message of kind `held`, which asks for an answer to what the customer wrote meanwhile. With
-- *p_new_thread* the thread in use ends.
-- Returns the conversation's owner as it is then, whether anything changed, and the number of the newest message
-- where the change leaves some to be answered.
CREATE FUNCTION change_owner(
    p_conversation uuid, p_event text, p_rules jsonb, p_who text, p_reason text, p_turn uuid DEFAULT NULL,
    p_answer_held boolean DEFAULT false, p_new_thread boolean DEFAULT false
) RETURNS TABLE (changed boolean, owner text, version bigint, waiting_seq bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_before conversations%ROWTYPE;
    v_rule jsonb;
    v_to text;
    v_version bigint;
    v_dropped bigint;
    v_held bigint[];
    v_wrote_at timestamptz;
    v_seq bigint;
BEGIN
    SELECT * INTO v_before FROM conversations WHERE id = p_conversation FOR NO KEY UPDATE;
    IF NOT FOUND THEN RETURN; END IF;
    v_rule := coalesce(p_rules -> v_before.owner, '{}');
    v_to := coalesce(v_rule ->> 'to', v_before.owner);
    v_version := v_before.owner_version
                 + (v_to <> v_before.owner OR coalesce((v_rule ->> 'anew')::boolean, false))::int;
    WITH dropped AS (
        UPDATE actions SET status = 'cancelled', settled_at = agent_now()
         WHERE conversation_id = p_conversation AND status = 'awaiting_confirmation'
           AND v_rule -> 'drops' ? confirmation_by RETURNING id
    )
    INSERT INTO transitions (conversation_id, version, from_owner, to_owner, why, who, turn_id)
    SELECT p_conversation, v_version, v_to, v_to, 'cancelled', p_who, p_turn FROM dropped;
    GET DIAGNOSTICS v_dropped = ROW_COUNT;
    IF v_version <> v_before.owner_version OR coalesce((v_rule ->> 'note')::boolean, false) THEN
        INSERT INTO transitions (conversation_id, version, from_owner, to_owner, why, who, turn_id)
        VALUES (p_conversation, v_version, v_before.owner, v_to, p_event, p_who, p_turn);
    END IF;
    IF v_version <> v_before.owner_version THEN
        UPDATE conversations SET owner = v_to, owner_version = v_version,
               taken_version = CASE WHEN v_to = 'human' THEN v_version ELSE taken_version END,
               stopped_seq = CASE WHEN (v_rule ->> 'anew')::boolean THEN NULL ELSE stopped_seq END
         WHERE id = p_conversation;
    END IF;
    IF v_to = 'human' AND v_before.owner <> 'human' THEN
        INSERT INTO handoffs (conversation_id, team, reason, opened_by)
        VALUES (p_conversation, 'support', p_reason, p_who) ON CONFLICT DO NOTHING;
    ELSIF v_to <> 'human' THEN
        UPDATE handoffs SET released_at = agent_now(), released_by = p_who
         WHERE conversation_id = p_conversation AND released_at IS NULL;
    END IF;
    IF p_new_thread THEN
        UPDATE threads SET ended_at = agent_now(), end_reason = p_event
         WHERE conversation_id = p_conversation AND ended_at IS NULL;
    END IF;
    IF p_answer_held AND v_before.owner = 'human' AND v_to = 'bot' AND NOT EXISTS (
        SELECT 1 FROM messages WHERE conversation_id = p_conversation AND kind = 'held' AND seq > v_before.cursor
    ) THEN
        SELECT array_agg(h.seq), max(coalesce(h.sent_at, h.stored_at)) INTO v_held, v_wrote_at
          FROM held_messages(p_conversation) h;
    END IF;
    IF v_held IS NOT NULL THEN
        v_seq := v_before.newest_seq + 1;
        INSERT INTO messages (conversation_id, seq, direction, author, channel, id_scope, kind, text, meta, sent_at)
        VALUES (p_conversation, v_seq, 'in', 'customer', v_before.channel, '', 'held', '',
                jsonb_build_object('held', v_held), v_wrote_at);
        UPDATE conversations SET newest_seq = v_seq, last_message_at = agent_now() WHERE id = p_conversation;
    END IF;
    RETURN QUERY SELECT v_version <> v_before.owner_version OR v_dropped > 0, v_to, v_version,
                        CASE WHEN v_seq IS NOT NULL THEN v_seq
                             WHEN (v_rule ->> 'anew')::boolean AND v_before.cursor < v_before.newest_seq
                             THEN v_before.newest_seq END;
END $$;
--
-- store_message: the inbox (docs/reliability.md, rule 1). One call resolves the customer's identity, stores the message
-- under the channel's own id and gives it the conversation's next sequence number. Called again with the same id it
-- changes nothing and tells what is stored. Over a limit, a message is refused (`wait_seconds`, nothing is stored) or,
-- with *p_keep_over_limit*, stored and marked, so that the customer is told and the model is not asked.
CREATE OR REPLACE FUNCTION store_message(
    p_channel text, p_account text, p_assistant text,
    p_identities jsonb,          -- [{"kind", "value"}], all of one customer
    p_display_name text,
    p_id_scope text, p_message_id text, p_kind text, p_text text, p_content_hash text, p_meta jsonb,
    p_sent_at timestamptz, p_wants_stream boolean, p_request_id text,
    p_limits jsonb,              -- [{"key", "per_minute", "burst"}]
    p_keep_over_limit boolean DEFAULT false, p_tell_seconds double precision DEFAULT 600
) RETURNS TABLE (
    message_id uuid, conversation_id uuid, workflow_id text, channel text, assistant text, state text, seq bigint,
    is_new boolean, same_content boolean, turn_id uuid, wait_seconds double precision
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_conversation conversations%ROWTYPE;
    v_message uuid;
    v_seq bigint;
    v_limit jsonb;
    v_wait double precision;
    v_meta jsonb := p_meta;
BEGIN
    RETURN QUERY SELECT s.*, 0::double precision
                   FROM stored_message(p_channel, p_id_scope, p_message_id, p_content_hash) s;
    IF FOUND THEN RETURN; END IF;

    FOR v_limit IN SELECT value FROM jsonb_array_elements(p_limits) LOOP
        v_wait := take_rate(v_limit ->> 'key', (v_limit ->> 'per_minute')::double precision,
                            (v_limit ->> 'burst')::int);
        IF v_wait > 0 AND NOT p_keep_over_limit THEN
            RETURN QUERY SELECT NULL::uuid, NULL::uuid, NULL::text, p_channel, p_assistant, NULL::text, 0::bigint,
                                false, true, NULL::uuid, v_wait;
            RETURN;
        ELSIF v_wait > 0 THEN
            v_meta := v_meta || jsonb_build_object('limited',
                CASE WHEN tell_of_limit(v_limit ->> 'key', p_tell_seconds) THEN 'tell' ELSE 'quiet' END);
            EXIT;
        END IF;
    END LOOP;

    v_conversation := known_conversation(p_channel, p_account, p_assistant, p_identities, p_display_name);
    v_seq := v_conversation.newest_seq + 1;
    INSERT INTO messages (conversation_id, seq, direction, author, channel, id_scope, channel_message_id, kind, text,
                          content_hash, meta, sent_at, wants_stream, request_id)
    VALUES (v_conversation.id, v_seq, 'in', 'customer', p_channel, p_id_scope, p_message_id, p_kind, p_text,
            p_content_hash, v_meta, p_sent_at, p_wants_stream, p_request_id)
        ON CONFLICT ON CONSTRAINT messages_channel_id_scope_channel_message_id_key DO NOTHING
    RETURNING id INTO v_message;
    IF v_message IS NULL THEN  -- the same message came in between, from another API process
        RETURN QUERY SELECT s.*, 0::double precision
                       FROM stored_message(p_channel, p_id_scope, p_message_id, p_content_hash) s;
        RETURN;
    END IF;
    UPDATE conversations SET newest_seq = v_seq, last_message_at = agent_now() WHERE id = v_conversation.id;
    RETURN QUERY SELECT v_message, v_conversation.id, v_conversation.workflow_id, v_conversation.channel,
                        v_conversation.assistant, (SELECT c.state FROM conversations c WHERE c.id = v_conversation.id), v_seq, true, true, NULL::uuid,
                        0::double precision;
END $$;
--
-- stored_message: what is known of a message that came before, and the turn that answered it, if one did.
CREATE OR REPLACE FUNCTION stored_message(p_channel text, p_id_scope text, p_message_id text, p_content_hash text)
RETURNS TABLE (
    message_id uuid, conversation_id uuid, workflow_id text, channel text, assistant text, state text, seq bigint,
    is_new boolean, same_content boolean, turn_id uuid
) LANGUAGE sql STABLE AS $$
    SELECT m.id, m.conversation_id, c.workflow_id, c.channel, c.assistant, c.state, m.seq, false,
           m.content_hash = p_content_hash, t.id
      FROM messages m
      JOIN conversations c ON c.id = m.conversation_id
      LEFT JOIN turns t ON t.conversation_id = m.conversation_id AND t.finished_at IS NOT NULL
           AND m.seq BETWEEN t.first_seq AND t.last_seq
     WHERE m.channel = p_channel AND m.id_scope = p_id_scope AND m.channel_message_id = p_message_id
     LIMIT 1
$$;
