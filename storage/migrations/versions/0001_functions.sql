-- store_message: the inbox (docs/reliability.md, rule 1). One call resolves the customer's identity, stores the message
-- under the channel's own id and gives it the conversation's next sequence number. Called again with the same id it
-- changes nothing and tells what is stored.
CREATE FUNCTION store_message(
    p_channel text, p_account text, p_assistant text,
    p_identities jsonb,          -- [{"kind", "value"}], all of one customer
    p_display_name text,
    p_id_scope text, p_message_id text, p_kind text, p_text text, p_content_hash text, p_meta jsonb,
    p_sent_at timestamptz, p_wants_stream boolean, p_request_id text
) RETURNS TABLE (
    message_id uuid, conversation_id uuid, workflow_id text, channel text, assistant text, state text, seq bigint,
    is_new boolean, same_content boolean, turn_id uuid
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_customer uuid;
    v_conversation conversations%ROWTYPE;
    v_message uuid;
    v_seq bigint;
    v_id uuid := gen_random_uuid();
BEGIN
    RETURN QUERY SELECT * FROM stored_message(p_channel, p_id_scope, p_message_id, p_content_hash);
    IF FOUND THEN RETURN; END IF;

    -- Identities are locked in one order, so that first messages of one customer meet here, one after the other.
    PERFORM pg_advisory_xact_lock(hashtextextended(p_channel || ':' || each.kind || ':' || each.value, 0))
       FROM (SELECT value ->> 'kind' AS kind, value ->> 'value' AS value
               FROM jsonb_array_elements(p_identities) ORDER BY 1, 2) AS each;
    SELECT i.customer_id INTO v_customer
      FROM jsonb_array_elements(p_identities) WITH ORDINALITY AS wanted(identity, place)
      JOIN channel_identities i ON i.channel = p_channel
       AND i.kind = wanted.identity ->> 'kind' AND i.value = wanted.identity ->> 'value'
     ORDER BY wanted.place LIMIT 1;
    IF v_customer IS NULL THEN
        INSERT INTO customers (display_name) VALUES (p_display_name) RETURNING id INTO v_customer;
    ELSIF p_display_name IS NOT NULL THEN
        UPDATE customers SET display_name = p_display_name
         WHERE id = v_customer AND display_name IS DISTINCT FROM p_display_name;
    END IF;
    INSERT INTO channel_identities (customer_id, channel, kind, value)
    SELECT v_customer, p_channel, value ->> 'kind', value ->> 'value' FROM jsonb_array_elements(p_identities)
        ON CONFLICT DO NOTHING;

    INSERT INTO conversations (id, customer_id, channel, account, assistant, workflow_id)
    VALUES (v_id, v_customer, p_channel, p_account, p_assistant, 'conversation/' || p_channel || '/' || v_id)
        ON CONFLICT DO NOTHING;
    SELECT * INTO v_conversation FROM conversations c
     WHERE c.customer_id = v_customer AND c.channel = p_channel AND c.account = p_account FOR UPDATE;

    v_seq := v_conversation.newest_seq + 1;
    INSERT INTO messages (conversation_id, seq, direction, author, channel, id_scope, channel_message_id, kind, text,
                          content_hash, meta, sent_at, wants_stream, request_id)
    VALUES (v_conversation.id, v_seq, 'in', 'customer', p_channel, p_id_scope, p_message_id, p_kind, p_text,
            p_content_hash, p_meta, p_sent_at, p_wants_stream, p_request_id)
        ON CONFLICT ON CONSTRAINT messages_channel_id_scope_channel_message_id_key DO NOTHING
    RETURNING id INTO v_message;
    IF v_message IS NULL THEN  -- the same message came in between, from another API process
        RETURN QUERY SELECT * FROM stored_message(p_channel, p_id_scope, p_message_id, p_content_hash);
        RETURN;
    END IF;
    UPDATE conversations SET newest_seq = v_seq, last_message_at = agent_now() WHERE id = v_conversation.id;
    RETURN QUERY SELECT v_message, v_conversation.id, v_conversation.workflow_id, v_conversation.channel,
                        v_conversation.assistant, v_conversation.state, v_seq, true, true, NULL::uuid;
END $$;
--
-- stored_message: what is known of a message that came before, and the turn that answered it, if one did.
CREATE FUNCTION stored_message(p_channel text, p_id_scope text, p_message_id text, p_content_hash text)
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
