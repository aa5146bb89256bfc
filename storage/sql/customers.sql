-- Whose a message is: identities, the customer who has them, and their conversation.

-- known_conversation: the conversation of the customer with these identities at this account of ours, made if there
-- is none, and locked.
CREATE OR REPLACE FUNCTION known_conversation(
    p_channel text, p_account text, p_assistant text, p_identities jsonb, p_display_name text
) RETURNS conversations LANGUAGE plpgsql AS $$
DECLARE
    v_customer uuid;
    v_conversation conversations%ROWTYPE;
    v_id uuid := gen_random_uuid();
BEGIN
    PERFORM lock_in_order(identity_locks(p_channel, p_identities));
    v_customer := known_customer(p_channel, p_identities, p_display_name);
    INSERT INTO conversations (id, customer_id, channel, account, assistant, workflow_id)
    VALUES (v_id, v_customer, p_channel, p_account, p_assistant, 'conversation/' || p_channel || '/' || v_id)
        ON CONFLICT DO NOTHING;
    SELECT * INTO v_conversation FROM conversations c
     WHERE c.customer_id = v_customer AND c.channel = p_channel AND c.account = p_account AND c.merged_into IS NULL
       FOR UPDATE;
    RETURN v_conversation;
END $$;

-- customer_of: whose keys these are. An id never changes hands and a number does, so an id tells more, and who is known
-- by another id than the event's is somebody else. NULL: nobody we know.
CREATE OR REPLACE FUNCTION customer_of(p_channel text, p_identities jsonb) RETURNS uuid LANGUAGE sql AS $$
    WITH wanted AS (
        SELECT value ->> 'kind' AS kind, value ->> 'value' AS value, ordinality AS place
          FROM jsonb_array_elements(p_identities) WITH ORDINALITY
    )
    SELECT i.customer_id
      FROM wanted JOIN channel_identities i ON i.channel = p_channel AND i.kind = wanted.kind AND i.value = wanted.value
     WHERE NOT EXISTS (
           SELECT 1 FROM wanted id JOIN channel_identities other ON other.customer_id = i.customer_id
              AND other.channel = p_channel AND other.kind = id.kind AND other.value <> id.value
            WHERE id.kind = 'user_id' AND NOT EXISTS (
                  SELECT 1 FROM channel_identities theirs WHERE theirs.customer_id = i.customer_id
                     AND theirs.channel = p_channel AND theirs.kind = id.kind AND theirs.value = id.value))
     ORDER BY i.kind = 'user_id' DESC, wanted.place LIMIT 1
$$;

-- known_customer: the customer with these keys, made if there is none, and locked: nobody merges or erases them until
-- the transaction ends. Keys that were two customers' make them one, unless the two contradict each other (both have a
-- number, or both an id): then the key changes hands, and nothing else does.
CREATE OR REPLACE FUNCTION known_customer(p_channel text, p_identities jsonb, p_display_name text) RETURNS uuid
LANGUAGE plpgsql AS $$
DECLARE
    v_customer uuid;
    v_other uuid;
BEGIN
    LOOP
        v_customer := customer_of(p_channel, p_identities);
        EXIT WHEN v_customer IS NULL;
        PERFORM 1 FROM customers WHERE id = v_customer FOR NO KEY UPDATE;
        EXIT WHEN customer_of(p_channel, p_identities) = v_customer;  -- else merged or erased while we waited
    END LOOP;
    IF v_customer IS NULL THEN
        INSERT INTO customers (display_name) VALUES (p_display_name) RETURNING id INTO v_customer;
    ELSIF p_display_name IS NOT NULL THEN
        UPDATE customers SET display_name = p_display_name
         WHERE id = v_customer AND display_name IS DISTINCT FROM p_display_name;
    END IF;
    INSERT INTO channel_identities (customer_id, channel, kind, value)
    SELECT v_customer, p_channel, value ->> 'kind', value ->> 'value' FROM jsonb_array_elements(p_identities)
        ON CONFLICT (channel, kind, value) DO NOTHING;
    FOR v_other IN
        SELECT DISTINCT i.customer_id FROM jsonb_array_elements(p_identities) AS wanted
          JOIN channel_identities i ON i.channel = p_channel
           AND i.kind = wanted ->> 'kind' AND i.value = wanted ->> 'value' AND i.customer_id <> v_customer
    LOOP
        IF contradict(v_customer, v_other) THEN
            PERFORM move_keys(p_channel, p_identities, v_other, v_customer);
        ELSE
            PERFORM merge_customers(v_other, v_customer);
        END IF;
    END LOOP;
    RETURN v_customer;
END $$;

-- contradict: whether two customers have different keys of one kind, and so may be two people.
CREATE OR REPLACE FUNCTION contradict(p_one uuid, p_other uuid) RETURNS boolean LANGUAGE sql AS $$
    SELECT EXISTS (SELECT 1 FROM channel_identities one JOIN channel_identities other USING (channel, kind)
                    WHERE one.customer_id = p_one AND other.customer_id = p_other)
$$;

-- move_keys: these keys are another customer's from now on; who had them keeps the conversations, without that address.
CREATE OR REPLACE FUNCTION move_keys(p_channel text, p_identities jsonb, p_from uuid, p_into uuid) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE channel_identities i SET customer_id = p_into, created_at = agent_now()
      FROM jsonb_array_elements(p_identities) AS wanted
     WHERE i.customer_id = p_from AND i.channel = p_channel
       AND i.kind = wanted ->> 'kind' AND i.value = wanted ->> 'value';
    INSERT INTO audit (actor, deed, subject, details)
    VALUES ('inbox', 'customer.key_moved', 'customer/' || p_from, jsonb_build_object('to', p_into));
END $$;

-- change_keys: the channel says that a customer has other keys from now on. The old ones are free: whoever comes with
-- them next is somebody else. Who has a new key already is the same person if they began after the change; if they
-- began before it, the key changed hands.
CREATE OR REPLACE FUNCTION change_keys(
    p_customer uuid, p_channel text, p_old jsonb, p_new jsonb, p_changed_at timestamptz
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_other uuid;
BEGIN
    DELETE FROM channel_identities i USING jsonb_array_elements(p_old) AS old
     WHERE i.customer_id = p_customer AND i.channel = p_channel
       AND i.kind = old ->> 'kind' AND i.value = old ->> 'value'
       AND EXISTS (SELECT 1 FROM jsonb_array_elements(p_new) AS new
                    WHERE new ->> 'kind' = i.kind AND new ->> 'value' <> i.value);
    FOR v_other IN
        SELECT DISTINCT i.customer_id FROM jsonb_array_elements(p_new) AS new
          JOIN channel_identities i ON i.channel = p_channel
           AND i.kind = new ->> 'kind' AND i.value = new ->> 'value' AND i.customer_id <> p_customer
    LOOP
        IF contradict(p_customer, v_other) OR EXISTS (
            SELECT 1 FROM messages m JOIN conversations c ON c.id = m.conversation_id
             WHERE c.customer_id = v_other AND m.direction = 'in'
               AND coalesce(m.sent_at, m.stored_at) < date_trunc('second', coalesce(p_changed_at, agent_now())))
        THEN
            PERFORM move_keys(p_channel, p_new, v_other, p_customer);
        ELSE
            PERFORM merge_customers(v_other, p_customer);
        END IF;
    END LOOP;
    INSERT INTO channel_identities (customer_id, channel, kind, value)
    SELECT p_customer, p_channel, value ->> 'kind', value ->> 'value' FROM jsonb_array_elements(p_new)
        ON CONFLICT (channel, kind, value) DO NOTHING;
END $$;

-- identity_locks: the names under which a customer's identities are locked.
CREATE OR REPLACE FUNCTION identity_locks(p_channel text, p_identities jsonb)
RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg(p_channel || ':' || (value ->> 'kind') || ':' || (value ->> 'value'))
      FROM jsonb_array_elements(p_identities)
$$;

-- lock_in_order: until the end of the transaction. All take them in one order, so nobody waits in a circle, and first
-- messages of one customer meet here, one after the other.
CREATE OR REPLACE FUNCTION lock_in_order(p_names text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(each.lock)
       FROM (SELECT DISTINCT hashtextextended(name, 0) AS lock FROM unnest(p_names) AS name ORDER BY 1) AS each;
END $$;
