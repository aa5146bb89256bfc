-- Whose a message is: identities, the customer who has them, and their conversation. What an event shows of keys, and
-- how they change hands, is in keys.sql.

-- known_conversation: the conversation of the customer with these identities at this account of ours, made if there
-- is none, and locked. *p_at*: when the event happened, by the channel's clock. *p_silence*: seconds after which a
-- number that shows another name proves no person any more; NULL where a caller names the customer, so that nothing is
-- proven. Without *p_shows* the event is about the customer and not by them: it shows nothing of their keys.
CREATE OR REPLACE FUNCTION known_conversation(
    p_channel text, p_account text, p_assistant text, p_identities jsonb, p_display_name text, p_at timestamptz,
    p_silence double precision, p_shows boolean DEFAULT true
) RETURNS conversations LANGUAGE plpgsql AS $$
DECLARE
    v_customer uuid;
    v_conversation conversations%ROWTYPE;
    v_id uuid := gen_random_uuid();
BEGIN
    PERFORM lock_in_order(identity_locks(p_channel, p_identities));
    v_customer := known_customer(p_channel, p_identities, p_display_name, coalesce(p_at, agent_now()), p_silence,
                                 p_shows);
    INSERT INTO conversations (id, customer_id, channel, account, assistant, workflow_id)
    VALUES (v_id, v_customer, p_channel, p_account, p_assistant, 'conversation/' || p_channel || '/' || v_id)
        ON CONFLICT DO NOTHING;
    SELECT * INTO v_conversation FROM conversations c
     WHERE c.customer_id = v_customer AND c.channel = p_channel AND c.account = p_account AND c.merged_into IS NULL
       FOR UPDATE;
    RETURN v_conversation;
END $$;

-- known_customer: the customer who had these keys at that time, made if there is none, and locked: nobody merges or
-- erases them until the transaction ends. What the event shows of their keys holds from then on.
CREATE OR REPLACE FUNCTION known_customer(
    p_channel text, p_identities jsonb, p_display_name text, p_at timestamptz, p_silence double precision,
    p_shows boolean
) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    v_customer uuid;
    v_is_new boolean;
BEGIN
    LOOP
        v_customer := customer_of(p_channel, p_identities, p_at);
        EXIT WHEN v_customer IS NULL;
        PERFORM 1 FROM customers WHERE id = v_customer FOR NO KEY UPDATE;
        EXIT WHEN customer_of(p_channel, p_identities, p_at) = v_customer;  -- else merged or erased while we waited
    END LOOP;
    v_is_new := v_customer IS NULL;
    IF v_is_new THEN
        INSERT INTO customers (display_name) VALUES (p_display_name) RETURNING id INTO v_customer;
    ELSIF p_display_name IS NOT NULL THEN
        PERFORM doubt_number(v_customer, p_channel, p_identities, p_display_name, p_at, p_silence);
        UPDATE customers SET display_name = p_display_name
         WHERE id = v_customer AND display_name IS DISTINCT FROM p_display_name;
    END IF;
    IF p_shows THEN
        PERFORM show_keys(v_customer, p_channel, p_identities, p_at, p_silence IS NOT NULL);
    ELSIF v_is_new THEN
        PERFORM give_key(v_customer, p_channel, value, p_at, false) FROM jsonb_array_elements(p_identities);
    END IF;
    RETURN v_customer;
END $$;

-- customer_of: whose these keys were at that time. An id never changes hands and a number does, so an id tells more;
-- and a number that is known with another id than the event's is somebody else's by now. NULL: nobody we know.
CREATE OR REPLACE FUNCTION customer_of(p_channel text, p_identities jsonb, p_at timestamptz) RETURNS uuid
LANGUAGE sql AS $$
    WITH wanted AS (
        SELECT value ->> 'kind' AS kind, value ->> 'value' AS value, ordinality AS place
          FROM jsonb_array_elements(p_identities) WITH ORDINALITY
    ), found AS (
        SELECT w.kind, w.place, coalesce(f.customer_id, i.customer_id) AS customer_id,
               CASE WHEN f.id IS NULL THEN i.known_with ELSE f.known_with END AS known_with
          FROM wanted w
          LEFT JOIN channel_identities i ON i.channel = p_channel AND i.kind = w.kind AND i.value = w.value
          LEFT JOIN LATERAL had_then(p_channel, w.kind, w.value, p_at) f ON true
    )
    SELECT f.customer_id FROM found f LEFT JOIN wanted id ON id.kind = 'user_id'
     WHERE f.customer_id IS NOT NULL AND coalesce(f.known_with = id.value, true)
       AND NOT (f.kind = 'parent_user_id' AND EXISTS (
                SELECT 1 FROM channel_identities k
                 WHERE k.customer_id = f.customer_id AND k.channel = p_channel AND k.kind = 'user_id'
                   AND k.value <> id.value))
     ORDER BY f.kind = 'user_id' DESC, f.kind = 'parent_user_id' DESC, f.place LIMIT 1
$$;

-- had_then: who had a key at that time and has it no more; none where that is nobody we know, or who has it now.
CREATE OR REPLACE FUNCTION had_then(p_channel text, p_kind text, p_value text, p_at timestamptz)
RETURNS SETOF former_identities LANGUAGE sql STABLE AS $$
    SELECT * FROM former_identities f
     WHERE f.channel = p_channel AND f.kind = p_kind AND f.value = p_value AND f.until > p_at
     ORDER BY f.until LIMIT 1
$$;

-- contradict: whether two customers have different keys of one kind, and so may be two people.
CREATE OR REPLACE FUNCTION contradict(p_one uuid, p_other uuid) RETURNS boolean LANGUAGE sql AS $$
    SELECT EXISTS (SELECT 1 FROM channel_identities one JOIN channel_identities other USING (channel, kind)
                    WHERE one.customer_id = p_one AND other.customer_id = p_other)
$$;

-- address_of: the keys under which a customer is written to now: the number, unless it is known with another id than
-- theirs (a channel may tell of a new id and not of the new number); the id, else that of the parent account. VOLATILE:
-- who asks within a statement that waited reads what is committed by then.
CREATE OR REPLACE FUNCTION address_of(p_conversation uuid, OUT phone text, OUT user_id text)
LANGUAGE sql VOLATILE AS $$
    WITH known AS (
        SELECT i.kind, i.value, i.known_with, i.created_at
          FROM conversations c JOIN channel_identities i ON i.customer_id = c.customer_id AND i.channel = c.channel
         WHERE c.id = p_conversation
    )
    SELECT (SELECT n.value FROM known n
             WHERE n.kind = 'phone' AND (n.known_with IS NULL OR NOT EXISTS (
                   SELECT 1 FROM known id WHERE id.kind = 'user_id' AND id.value <> n.known_with))
             ORDER BY n.created_at DESC LIMIT 1),
           (SELECT id.value FROM known id WHERE id.kind IN ('user_id', 'parent_user_id')
             ORDER BY id.kind = 'user_id' DESC, id.created_at DESC LIMIT 1)
$$;

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
