-- By which keys a channel knows a customer, and how they change hands. An event counts for what it shows at its own
-- time, for channels deliver late and in any order: a key that was seen later is not taken from who was seen with it.
-- Who had a key is kept (`former_identities`), for what they wrote before and comes after.

-- show_keys: an event by a customer shows them with these keys. Keys that were two customers' make them one, unless the
-- two contradict each other (both have a number, or both an id): then the key changes hands, and nothing else does. A
-- number or an id that they had before in the place of one of these is free.
CREATE OR REPLACE FUNCTION show_keys(
    p_customer uuid, p_channel text, p_identities jsonb, p_at timestamptz, p_proves boolean
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    -- What was somebody's then, and is so no more, or is out of date by now, shows nothing of today.
    v_shown constant jsonb[] := ARRAY(
        SELECT shown FROM jsonb_array_elements(p_identities) AS shown
         WHERE NOT EXISTS (SELECT 1 FROM had_then(p_channel, shown ->> 'kind', shown ->> 'value', p_at))
           AND NOT has_newer(p_customer, p_channel, shown, p_at));
    v_held channel_identities%ROWTYPE;
BEGIN
    PERFORM give_key(p_customer, p_channel, shown, p_at, p_proves) FROM unnest(v_shown) AS shown;
    UPDATE channel_identities i SET seen_at = p_at,
           verified_at = CASE WHEN i.verified_at IS NOT NULL THEN greatest(i.verified_at, p_at) END
      FROM unnest(v_shown) AS shown
     WHERE p_proves AND i.customer_id = p_customer AND i.channel = p_channel AND i.seen_at < p_at
       AND i.kind = shown ->> 'kind' AND i.value = shown ->> 'value';
    FOR v_held IN
        SELECT i.* FROM unnest(v_shown) AS shown JOIN channel_identities i
            ON i.channel = p_channel AND i.kind = shown ->> 'kind' AND i.value = shown ->> 'value'
         WHERE i.customer_id <> p_customer
    LOOP
        CONTINUE WHEN NOT EXISTS (SELECT 1 FROM channel_identities i
                                   WHERE i.id = v_held.id AND i.customer_id = v_held.customer_id);  -- merged meanwhile
        IF NOT contradict(p_customer, v_held.customer_id) THEN
            PERFORM merge_customers(v_held.customer_id, p_customer);
        ELSIF v_held.seen_at <= p_at AND v_held.kind <> 'parent_user_id' THEN
            PERFORM move_key(v_held, p_customer, p_at);
        END IF;
    END LOOP;
    PERFORM know_together(p_customer, p_channel, p_identities);
    PERFORM free_keys(p_customer, p_channel, (
        SELECT jsonb_agg(shown) FROM jsonb_array_elements(p_identities) AS shown JOIN channel_identities i
            ON i.channel = p_channel AND i.kind = shown ->> 'kind' AND i.value = shown ->> 'value'
         WHERE i.customer_id = p_customer), '[]', p_at);
END $$;

-- has_newer: whether the customer was seen later with another key of that kind, a number or an id.
CREATE OR REPLACE FUNCTION has_newer(p_customer uuid, p_channel text, p_key jsonb, p_at timestamptz) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT 1 FROM channel_identities i
         WHERE i.customer_id = p_customer AND i.channel = p_channel AND i.kind = p_key ->> 'kind'
           AND i.value <> p_key ->> 'value' AND i.kind <> 'customer_id' AND i.seen_at > p_at)
$$;

-- give_key: a key that nobody has is this customer's from that time on. It is verified if the channel proves it, and
-- nothing that they had before was in doubt.
CREATE OR REPLACE FUNCTION give_key(
    p_customer uuid, p_channel text, p_key jsonb, p_at timestamptz, p_proves boolean
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO channel_identities (customer_id, channel, kind, value, seen_at, verified_at)
    SELECT p_customer, p_channel, p_key ->> 'kind', p_key ->> 'value', p_at,
           CASE WHEN p_proves AND NOT EXISTS (
                SELECT 1 FROM channel_identities i
                 WHERE i.customer_id = p_customer AND i.channel = p_channel AND i.verified_at IS NULL) THEN p_at END
        ON CONFLICT (channel, kind, value) DO NOTHING
$$;

-- move_key: a key is another customer's from that time on; who had it keeps the conversations, without that address.
CREATE OR REPLACE FUNCTION move_key(p_key channel_identities, p_into uuid, p_at timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO former_identities (customer_id, channel, kind, value, known_with, until)
    VALUES (p_key.customer_id, p_key.channel, p_key.kind, p_key.value, p_key.known_with, p_at);
    DELETE FROM channel_identities WHERE id = p_key.id;
    PERFORM give_key(p_into, p_key.channel, jsonb_build_object('kind', p_key.kind, 'value', p_key.value), p_at, false);
    INSERT INTO audit (actor, deed, subject, details)
    VALUES ('inbox', 'customer.key_moved', 'customer/' || p_key.customer_id, jsonb_build_object('to', p_into));
END $$;

-- free_keys: what a customer had in the place of these keys, of the same kind, is nobody's from that time on: whoever
-- comes with it next is somebody else. Not what was seen since, unless it is named (*p_old*). Who has another number
-- now is not verified.
CREATE OR REPLACE FUNCTION free_keys(p_customer uuid, p_channel text, p_keys jsonb, p_old jsonb, p_at timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_kinds text[];
BEGIN
    WITH freed AS (
        DELETE FROM channel_identities i
         WHERE i.customer_id = p_customer AND i.channel = p_channel AND i.kind <> 'customer_id'
           AND EXISTS (SELECT 1 FROM jsonb_array_elements(p_keys) AS k WHERE k ->> 'kind' = i.kind)
           AND NOT p_keys @> jsonb_build_array(jsonb_build_object('kind', i.kind, 'value', i.value))
           AND (i.seen_at <= p_at
                OR p_old @> jsonb_build_array(jsonb_build_object('kind', i.kind, 'value', i.value)))
        RETURNING i.*
    ), noted AS (
        INSERT INTO former_identities (customer_id, channel, kind, value, known_with, until)
        SELECT customer_id, channel, kind, value, known_with, p_at FROM freed RETURNING kind
    )
    SELECT array_agg(kind) INTO v_kinds FROM noted;
    IF v_kinds IS NULL THEN RETURN; END IF;
    INSERT INTO audit (actor, deed, subject, details)
    VALUES ('inbox', 'customer.key_freed', 'customer/' || p_customer, jsonb_build_object('kinds', v_kinds));
    IF 'phone' = ANY(v_kinds) THEN
        UPDATE channel_identities SET verified_at = NULL WHERE customer_id = p_customer AND channel = p_channel;
    END IF;
END $$;

-- know_together: a customer's number is known with this id of theirs from now on: who comes from it with another id is
-- somebody else.
CREATE OR REPLACE FUNCTION know_together(p_customer uuid, p_channel text, p_identities jsonb) RETURNS void
LANGUAGE sql AS $$
    UPDATE channel_identities n SET known_with = id.value
      FROM channel_identities id, jsonb_array_elements(p_identities) AS one, jsonb_array_elements(p_identities) AS other
     WHERE n.customer_id = p_customer AND n.channel = p_channel AND n.kind = 'phone'
       AND one ->> 'kind' = n.kind AND one ->> 'value' = n.value
       AND id.customer_id = p_customer AND id.channel = p_channel AND id.kind = 'user_id'
       AND other ->> 'kind' = id.kind AND other ->> 'value' = id.value AND n.known_with IS DISTINCT FROM id.value
$$;

-- doubt_number: a number passes to another person sooner or later, and a name alone proves nothing. Where a number that
-- came with no id of theirs was silent for so long (*p_silence* seconds), and shows another name, the customer is not
-- verified any more; the conversation goes on.
CREATE OR REPLACE FUNCTION doubt_number(
    p_customer uuid, p_channel text, p_identities jsonb, p_display_name text, p_at timestamptz,
    p_silence double precision
) RETURNS void LANGUAGE sql AS $$
    UPDATE channel_identities i SET verified_at = NULL
      FROM customers k
     WHERE k.id = p_customer AND k.display_name <> p_display_name
       AND i.customer_id = k.id AND i.channel = p_channel AND i.verified_at IS NOT NULL
       AND (SELECT bool_and(n.kind = 'phone' AND n.known_with IS NULL
                            AND n.seen_at < p_at - make_interval(secs => p_silence))
              FROM channel_identities n JOIN jsonb_array_elements(p_identities) AS shown
                ON n.kind = shown ->> 'kind' AND n.value = shown ->> 'value'
             WHERE n.customer_id = k.id AND n.channel = p_channel)
$$;

-- change_keys: the channel says that a customer has other keys from now on. The old ones are free. Who has a new key
-- already is the same person if they began after the change; if they began before it, the key changed hands. A number
-- or an id that the customer was seen with since the change stays theirs instead.
CREATE OR REPLACE FUNCTION change_keys(
    p_customer uuid, p_channel text, p_old jsonb, p_new jsonb, p_changed_at timestamptz
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_at constant timestamptz := coalesce(p_changed_at, agent_now());
    v_new constant jsonb := newest_keys(p_customer, p_channel, p_old, p_new, v_at);
    v_key jsonb;
    v_held channel_identities%ROWTYPE;
BEGIN
    PERFORM free_keys(p_customer, p_channel, v_new, p_old, v_at);
    FOR v_key IN SELECT value FROM jsonb_array_elements(v_new) LOOP
        SELECT * INTO v_held FROM channel_identities i
         WHERE i.channel = p_channel AND i.kind = v_key ->> 'kind' AND i.value = v_key ->> 'value'
           AND i.customer_id <> p_customer;
        IF NOT FOUND THEN
            PERFORM give_key(p_customer, p_channel, v_key, v_at, false);
        ELSIF is_same_person(v_held, p_customer, v_at) THEN
            PERFORM merge_customers(v_held.customer_id, p_customer);
        ELSE
            PERFORM move_key(v_held, p_customer, v_at);
        END IF;
    END LOOP;
    PERFORM know_together(p_customer, p_channel, p_old || p_new);
    UPDATE channel_identities SET verified_at = NULL WHERE customer_id = p_customer AND channel = p_channel;
END $$;

-- is_same_person: whether who has the key is the customer who is said to have it since that moment: they began after
-- it, and nothing contradicts that but keys which the customer was not seen with since. Those are free.
CREATE OR REPLACE FUNCTION is_same_person(p_key channel_identities, p_customer uuid, p_at timestamptz)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF wrote_before(p_key.customer_id, p_at) THEN RETURN false; END IF;
    PERFORM free_keys(p_customer, p_key.channel, (
        SELECT jsonb_agg(jsonb_build_object('kind', i.kind, 'value', i.value)) FROM channel_identities i
         WHERE i.customer_id = p_key.customer_id AND i.channel = p_key.channel), '[]', p_at);
    RETURN NOT contradict(p_customer, p_key.customer_id);
END $$;

-- began_after: whether a customer is known to us only since that moment, in whole seconds, as channels tell it: what
-- the channel says of then is of who had their key before.
CREATE OR REPLACE FUNCTION began_after(p_customer uuid, p_at timestamptz) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce(min(coalesce(m.sent_at, m.stored_at)) >= date_trunc('second', p_at) + interval '1 second', false)
      FROM messages m JOIN conversations c ON c.id = m.conversation_id
     WHERE c.customer_id = p_customer AND m.direction = 'in'
$$;

-- newest_keys: of the keys that a customer is said to have, those of whose kind they were not seen with another since.
CREATE OR REPLACE FUNCTION newest_keys(
    p_customer uuid, p_channel text, p_old jsonb, p_new jsonb, p_at timestamptz
) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_agg(new), '[]') FROM jsonb_array_elements(p_new) AS new
     WHERE NOT EXISTS (
           SELECT 1 FROM channel_identities i
            WHERE i.customer_id = p_customer AND i.channel = p_channel AND i.kind = new ->> 'kind'
              AND i.value <> new ->> 'value' AND i.seen_at > p_at
              AND NOT p_old @> jsonb_build_array(jsonb_build_object('kind', i.kind, 'value', i.value)))
$$;

-- wrote_before: whether the customer wrote before that moment, in whole seconds, as channels tell it.
CREATE OR REPLACE FUNCTION wrote_before(p_customer uuid, p_at timestamptz) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT 1 FROM messages m JOIN conversations c ON c.id = m.conversation_id
         WHERE c.customer_id = p_customer AND m.direction = 'in'
           AND coalesce(m.sent_at, m.stored_at) < date_trunc('second', p_at))
$$;
