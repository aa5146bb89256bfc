-- take_rate: the GCRA limiter. Takes one message's place under *p_key* and returns 0, or the seconds until there is
-- one again (nothing is taken then). *p_per_minute* in the long run, *p_burst* at once; 0 per minute: no limit.
CREATE FUNCTION take_rate(p_key text, p_per_minute double precision, p_burst int) RETURNS double precision
LANGUAGE plpgsql AS $$
DECLARE
    v_now double precision := extract(epoch FROM agent_now());
    v_interval double precision;
    v_wait double precision;
BEGIN
    IF p_per_minute <= 0 THEN RETURN 0; END IF;
    v_interval := 60 / p_per_minute;
    INSERT INTO rate_limits AS r (key, arrival) VALUES (p_key, v_now + v_interval)
        ON CONFLICT (key) DO UPDATE SET arrival = greatest(r.arrival, v_now) + v_interval
     WHERE greatest(r.arrival, v_now) - v_now <= v_interval * (p_burst - 1);
    IF FOUND THEN RETURN 0; END IF;
    SELECT arrival - v_now - v_interval * (p_burst - 1) INTO v_wait FROM rate_limits WHERE key = p_key;
    RETURN greatest(v_wait, 0.001);
END $$;
--
-- tell_of_limit: whether whoever is over the limit *p_key* is to be told now: once in *p_seconds*.
CREATE FUNCTION tell_of_limit(p_key text, p_seconds double precision) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE rate_limits SET told_at = extract(epoch FROM agent_now())
     WHERE key = p_key AND (told_at IS NULL OR told_at < extract(epoch FROM agent_now()) - p_seconds);
    RETURN FOUND;
END $$;
--
-- known_conversation: the conversation of the customer with these identities at this account of ours, made if there
-- is none, and locked. Identities that were two customers' (each came alone first) are one customer's from now on.
CREATE FUNCTION known_conversation(
    p_channel text, p_account text, p_assistant text, p_identities jsonb, p_display_name text
) RETURNS conversations LANGUAGE plpgsql AS $$
DECLARE
    v_customer uuid;
    v_conversation conversations%ROWTYPE;
    v_id uuid := gen_random_uuid();
BEGIN
    PERFORM lock_in_order(identity_locks(p_channel, p_identities));
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
    INSERT INTO channel_identities AS i (customer_id, channel, kind, value)
    SELECT v_customer, p_channel, value ->> 'kind', value ->> 'value' FROM jsonb_array_elements(p_identities)
        ON CONFLICT (channel, kind, value) DO UPDATE SET customer_id = v_customer WHERE i.customer_id <> v_customer;

    INSERT INTO conversations (id, customer_id, channel, account, assistant, workflow_id)
    VALUES (v_id, v_customer, p_channel, p_account, p_assistant, 'conversation/' || p_channel || '/' || v_id)
        ON CONFLICT DO NOTHING;
    SELECT * INTO v_conversation FROM conversations c
     WHERE c.customer_id = v_customer AND c.channel = p_channel AND c.account = p_account FOR UPDATE;
    RETURN v_conversation;
END $$;
--
-- identity_locks: the names under which a customer's identities are locked.
CREATE FUNCTION identity_locks(p_channel text, p_identities jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg(p_channel || ':' || (value ->> 'kind') || ':' || (value ->> 'value'))
      FROM jsonb_array_elements(p_identities)
$$;
--
-- lock_in_order: until the end of the transaction. All take them in one order, so nobody waits in a circle, and first
-- messages of one customer meet here, one after the other.
CREATE FUNCTION lock_in_order(p_names text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(each.lock)
       FROM (SELECT DISTINCT hashtextextended(name, 0) AS lock FROM unnest(p_names) AS name ORDER BY 1) AS each;
END $$;
--
DROP FUNCTION store_message;
--
-- store_message: the inbox (docs/reliability.md, rule 1). One call resolves the customer's identity, stores the message
-- under the channel's own id and gives it the conversation's next sequence number. Called again with the same id it
-- changes nothing and tells what is stored. Over a limit, a message is refused (`wait_seconds`, nothing is stored) or,
-- with *p_keep_over_limit*, stored and marked, so that the customer is told and the model is not asked.
CREATE FUNCTION store_message(
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
                        v_conversation.assistant, v_conversation.state, v_seq, true, true, NULL::uuid,
                        0::double precision;
END $$;
--
-- note_event: keeps what happened in a conversation beside its messages: a reaction, an edit, a deletion, a changed
-- number, what staff wrote on the phone itself. Once per channel id; it gets no sequence number and asks for no answer.
CREATE FUNCTION note_event(p_conversation uuid, p_channel text, p_id_scope text, p jsonb) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO messages (conversation_id, direction, author, channel, id_scope, channel_message_id, kind, text, meta,
                          sent_at)
    VALUES (p_conversation, CASE WHEN p ->> 'kind' = 'echo' THEN 'out' ELSE 'event' END,
            CASE WHEN p ->> 'kind' = 'echo' THEN 'agent' ELSE 'customer' END, p_channel, p_id_scope,
            p ->> 'channel_message_id', p ->> 'kind', p ->> 'text', p -> 'meta', (p ->> 'sent_at')::timestamptz)
        ON CONFLICT ON CONSTRAINT messages_channel_id_scope_channel_message_id_key DO NOTHING;
    RETURN FOUND;
END $$;
--
-- revise_waiting: an edit or a deletion takes effect in place while its message waits and no turn has taken it.
CREATE FUNCTION revise_waiting(p_conversation conversations, p_id_scope text, p jsonb) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE messages m
       SET text = CASE WHEN p ->> 'kind' = 'edit' THEN p ->> 'text' ELSE '' END,
           kind = CASE WHEN p ->> 'kind' = 'edit' THEN m.kind ELSE 'deleted' END,
           meta = m.meta || jsonb_build_object('before', coalesce(m.meta ->> 'before', m.text))
     WHERE m.channel = p_conversation.channel AND m.id_scope = p_id_scope
       AND m.channel_message_id = p #>> '{meta,concerns}' AND m.conversation_id = p_conversation.id
       AND m.seq > p_conversation.cursor AND m.direction = 'in'
       AND NOT EXISTS (SELECT 1 FROM turns t WHERE t.conversation_id = m.conversation_id
                          AND t.first_seq <= m.seq AND t.finished_at IS NULL);
    RETURN FOUND;
END $$;
--
-- store_channel_message: one message, reaction, echo, … of a webhook, for the assistant that this account belongs to.
-- `outcome`: new | repeated | noted | unknown_account (not one of our accounts: kept aside, without effect).
CREATE FUNCTION store_channel_message(p_channel text, p jsonb, p_options jsonb)
RETURNS TABLE (outcome text, conversation_id uuid, workflow_id text, channel text, assistant text, seq bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_account text := p ->> 'account';
    v_assistant text;
    v_conversation conversations%ROWTYPE;
    v_name text := nullif(p ->> 'display_name', '');
    v_revised boolean;
BEGIN
    SELECT c.assistant INTO v_assistant FROM configurations c
     WHERE c.version = (SELECT max(n.version) FROM configurations n WHERE n.assistant = c.assistant)
       AND c.body -> 'accounts' -> p_channel ? v_account
     ORDER BY c.assistant LIMIT 1;
    IF v_assistant IS NULL THEN
        IF p_options -> 'accounts' <> 'null' AND NOT p_options -> 'accounts' ? v_account THEN
            INSERT INTO leftovers (channel, account, why, raw)
            VALUES (p_channel, v_account, 'not one of our accounts', p #> '{meta,raw}');
            RETURN QUERY SELECT 'unknown_account', NULL::uuid, NULL::text, p_channel, NULL::text, 0::bigint;
            RETURN;
        END IF;
        v_assistant := 'default';
    END IF;

    IF NOT (p ->> 'speaks')::boolean THEN
        v_conversation := known_conversation(p_channel, v_account, v_assistant, p -> 'identities', v_name);
        IF p ->> 'kind' = 'system' THEN
            INSERT INTO channel_identities (customer_id, channel, kind, value)
            SELECT v_conversation.customer_id, p_channel, value ->> 'kind', value ->> 'value'
              FROM jsonb_array_elements(p -> 'new_identities')
                ON CONFLICT (channel, kind, value) DO NOTHING;
        END IF;
        IF NOT note_event(v_conversation.id, p_channel, v_account, p) THEN
            RETURN QUERY SELECT 'repeated', v_conversation.id, v_conversation.workflow_id, p_channel,
                                v_conversation.assistant, 0::bigint;
            RETURN;
        END IF;
        v_revised := p ->> 'kind' IN ('edit', 'delete') AND revise_waiting(v_conversation, v_account, p);
        IF v_revised OR p ->> 'kind' <> 'edit' THEN
            RETURN QUERY SELECT 'noted', v_conversation.id, v_conversation.workflow_id, p_channel,
                                v_conversation.assistant, 0::bigint;
            RETURN;
        END IF;
        -- New words for a message that was answered already are a message of their own.
        p := p || jsonb_build_object('channel_message_id', 'edit:' || (p ->> 'channel_message_id'),
                                     'text', (p_options ->> 'edited') || (p ->> 'text'));
    END IF;

    RETURN QUERY
    SELECT CASE WHEN s.is_new THEN 'new' ELSE 'repeated' END, s.conversation_id, s.workflow_id, s.channel, s.assistant,
           s.seq
      FROM store_message(
        p_channel, v_account, v_assistant, p -> 'identities', v_name, v_account, p ->> 'channel_message_id',
        p ->> 'kind', p ->> 'text', p ->> 'content_hash', p -> 'meta', (p ->> 'sent_at')::timestamptz, false,
        p_options ->> 'request_id', p -> 'limits', true, (p_options ->> 'tell_seconds')::double precision
      ) s;
END $$;
--
-- store_channel_messages: all of a webhook, in its order; each by itself, so the batch is stored whole or not at all.
-- Customers and limits are locked in one order beforehand, or two webhooks with the same ones could block each other.
CREATE FUNCTION store_channel_messages(p_channel text, p_messages jsonb, p_options jsonb)
RETURNS TABLE (outcome text, conversation_id uuid, workflow_id text, channel text, assistant text, seq bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_message jsonb;
BEGIN
    PERFORM lock_in_order(
        identity_locks(p_channel, (SELECT jsonb_agg(i) FROM jsonb_array_elements(p_messages) m,
                                          jsonb_array_elements((m -> 'identities') || (m -> 'new_identities')) i))
        || ARRAY(SELECT l ->> 'key' FROM jsonb_array_elements(p_messages) m, jsonb_array_elements(m -> 'limits') l));
    FOR v_message IN SELECT value FROM jsonb_array_elements(p_messages) LOOP
        RETURN QUERY SELECT * FROM store_channel_message(p_channel, v_message, p_options);
    END LOOP;
END $$;
--
-- keep_media: files that came with a message, to be fetched; called once the message is stored.
CREATE FUNCTION keep_media() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO media (message_id, conversation_id, n, account, channel, channel_media_id, mime_type, announced_sha256,
                       filename)
    SELECT NEW.id, NEW.conversation_id, place - 1, NEW.id_scope, NEW.channel, file ->> 'id', file ->> 'mime_type',
           file ->> 'sha256', file ->> 'filename'
      FROM jsonb_array_elements(NEW.meta -> 'media') WITH ORDINALITY AS files(file, place);
    RETURN NULL;
END $$;
--
CREATE TRIGGER keep_media AFTER INSERT ON messages
    FOR EACH ROW WHEN (NEW.direction = 'in' AND NEW.meta ? 'media') EXECUTE FUNCTION keep_media();
--
-- record_statuses: what the channel says of messages of ours. A delivery is found by our own id, or else by the
-- channel's; its status only moves forward: a lower one changes nothing, FAILED replaces only what never arrived.
-- One that failed is due again, for the sender to decide what follows; returns its conversation.
CREATE FUNCTION record_statuses(p_channel text, p_statuses jsonb)
RETURNS TABLE (conversation_id uuid, workflow_id text, channel text, assistant text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_status jsonb;
    v_rank constant jsonb := '{"planned": 0, "sending": 0, "unknown": 0, "queued": 0, "sent": 1, "delivered": 2,
                               "read": 3}';
    v_delivery deliveries%ROWTYPE;
    v_new text;
BEGIN
    FOR v_status IN SELECT value FROM jsonb_array_elements(p_statuses) ORDER BY value ->> 'channel_message_id' LOOP
        v_new := v_status ->> 'status';
        SELECT d.* INTO v_delivery FROM deliveries d
         WHERE d.channel = p_channel AND (d.id = (v_status ->> 'delivery_id')::uuid
                                          OR d.channel_message_id = v_status ->> 'channel_message_id')
         ORDER BY d.id IS NOT DISTINCT FROM (v_status ->> 'delivery_id')::uuid DESC LIMIT 1 FOR UPDATE;
        CONTINUE WHEN NOT FOUND OR v_delivery.status IN ('failed', 'deleted');
        CONTINUE WHEN v_delivery.attempt = 0;  -- never sent, so it cannot be meant
        -- A failure of an earlier attempt says nothing of the one that followed it.
        CONTINUE WHEN v_new = 'failed' AND (v_status ->> 'fence')::bigint <> v_delivery.fence;
        IF v_new = 'deleted' OR v_new = 'failed' AND v_delivery.status NOT IN ('delivered', 'read')
           OR (v_rank ->> v_new)::int > coalesce((v_rank ->> v_delivery.status)::int, 0)
           OR v_new = 'queued' AND v_delivery.status IN ('sending', 'unknown') THEN
            UPDATE deliveries SET status = v_new, updated_at = agent_now(),
                   channel_message_id = coalesce(channel_message_id, v_status ->> 'channel_message_id'),
                   error = CASE WHEN v_new = 'failed' THEN v_status -> 'error' ELSE error END,
                   failure = CASE WHEN v_new = 'failed' THEN NULL ELSE failure END
             WHERE id = v_delivery.id;
        END IF;
        IF v_new = 'failed' AND v_delivery.status NOT IN ('delivered', 'read') THEN
            UPDATE messages SET delivery = 'due' WHERE id = v_delivery.message_id;
            RETURN QUERY SELECT c.id, c.workflow_id, c.channel, c.assistant
                           FROM conversations c WHERE c.id = v_delivery.conversation_id;
        END IF;
    END LOOP;
END $$;
