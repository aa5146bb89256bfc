-- The inbox of the API, message by message; that of channels is in webhooks.sql.

-- store_message: the inbox (docs/reliability.md, rule 1). One call resolves the customer's identity, stores the message
-- under the channel's own id and gives it the conversation's next sequence number. Called again with the same id it
-- changes nothing and tells what is stored. Over a limit, a message is refused (`wait_seconds`, nothing is stored) or,
-- with *p_over_limit*, stored and marked: whether the customer is to be told, and until when its answer waits, so that
-- what comes meanwhile is answered together with it.
CREATE OR REPLACE FUNCTION store_message(
    p_channel text, p_account text, p_assistant text,
    p_identities jsonb,          -- [{"kind", "value"}], all of one customer
    p_display_name text,
    p_id_scope text, p_message_id text, p_kind text, p_text text, p_content_hash text, p_meta jsonb,
    p_sent_at timestamptz, p_wants_stream boolean, p_request_id text,
    p_limits jsonb,              -- [{"key", "per_minute", "burst"}]
    p_over_limit jsonb DEFAULT NULL,  -- {"tell_seconds", "wait_seconds"}: of what is told once, and waits at most
    p_silence double precision DEFAULT NULL  -- as of known_conversation
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
        IF v_wait > 0 AND p_over_limit IS NULL THEN
            RETURN QUERY SELECT NULL::uuid, NULL::uuid, NULL::text, p_channel, p_assistant, NULL::text, 0::bigint,
                                false, true, NULL::uuid, v_wait;
            RETURN;
        ELSIF v_wait > 0 THEN
            v_meta := v_meta || jsonb_build_object(
                'limited', CASE WHEN tell_of_limit(v_limit ->> 'key', (p_over_limit ->> 'tell_seconds')::float8)
                           THEN 'tell' ELSE 'quiet' END,
                'waits_until', agent_now() + make_interval(
                    secs => least(v_wait, (p_over_limit ->> 'wait_seconds')::double precision)));
            EXIT;
        END IF;
    END LOOP;

    v_conversation := known_conversation(p_channel, p_account, p_assistant, p_identities, p_display_name, p_sent_at,
                                         p_silence);
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
                        v_conversation.assistant,
                        (SELECT c.state FROM conversations c WHERE c.id = v_conversation.id), v_seq, true, true,
                        NULL::uuid, 0::double precision;
END $$;

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
