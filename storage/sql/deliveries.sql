-- Replies on their way: parts of them, how far each came, and how a message ends.

-- needs_delivery: whether replies go out by ourselves, as schemas.channels.needs_delivery: the one place in SQL that
-- names channels.
CREATE OR REPLACE FUNCTION needs_delivery(p_channel text, p_account text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT p_channel = 'whatsapp' AND p_account <> ''
$$;

-- add_reply: staff's words to the customer, in the conversation that goes on. *p_key* names the call: with one, the
-- same call is taken once, also where the first was said in a conversation that was merged into this one since, or to
-- who had this customer's number before: the same words under the same key were meant for them. The lock makes calls of
-- one customer follow each other, and what the one before has added is looked for after it, as is whether the customer
-- is erased: then nothing is added or found.
CREATE OR REPLACE FUNCTION add_reply(p_conversation uuid, p_key text, p_text text, p_author_name text)
RETURNS TABLE (message_id uuid, conversation_id uuid, text text, needs_delivery boolean) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_into constant uuid := going_on(p_conversation);
BEGIN
    IF is_erased(v_into) THEN RETURN; END IF;
    RETURN QUERY
    SELECT m.id, v_into, m.text, m.delivery IS NOT DISTINCT FROM 'due' FROM messages m
     WHERE m.id IN (SELECT reply_id(c.id, p_key) FROM conversations c WHERE c.id = v_into OR c.merged_into = v_into)
     ORDER BY m.text = p_text DESC LIMIT 1;  -- two who became one may each have had a reply of that key
    IF FOUND THEN RETURN; END IF;
    RETURN QUERY
    SELECT m.id, m.conversation_id, m.text, m.delivery IS NOT DISTINCT FROM 'due' FROM messages m
     WHERE m.text = p_text AND m.id IN (
           SELECT reply_id(theirs.id, p_key)
             FROM conversations c JOIN channel_identities i ON i.customer_id = c.customer_id
             JOIN former_identities f ON (f.channel, f.kind, f.value) = (i.channel, i.kind, i.value)
             JOIN conversations theirs ON theirs.customer_id = f.customer_id
            WHERE c.id = v_into) LIMIT 1;
    IF FOUND THEN RETURN; END IF;
    RETURN QUERY
    INSERT INTO messages AS m (id, conversation_id, direction, author, author_name, channel, id_scope, text, delivery)
    SELECT coalesce(reply_id(c.id, p_key), gen_random_uuid()), c.id, 'out', 'agent', p_author_name, c.channel, '',
           p_text, CASE WHEN needs_delivery(c.channel, c.account) THEN 'due' END
      FROM conversations c WHERE c.id = v_into
    RETURNING m.id, m.conversation_id, m.text, m.delivery IS NOT DISTINCT FROM 'due';
END $$;

-- reply_id: of the reply that the call *p_key* brought to this conversation; NULL without a key.
CREATE OR REPLACE FUNCTION reply_id(p_conversation uuid, p_key text) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT md5(p_conversation || ' reply ' || p_key)::uuid
$$;

-- finish_message: the message is delivered, or withheld where its last part was, unless one of its parts is still to be
-- sent or to be decided about. It is locked first and looked at after: a status that fails a part either is seen here,
-- or makes the message due again.
CREATE OR REPLACE FUNCTION finish_message(p_message uuid) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_conversation uuid;
    v_delivery text;
BEGIN
    SELECT conversation_id INTO v_conversation FROM messages WHERE id = p_message;
    PERFORM 1 FROM conversations WHERE id = v_conversation FOR NO KEY UPDATE;
    PERFORM 1 FROM messages WHERE id = p_message FOR UPDATE;
    UPDATE messages SET delivery = CASE
        WHEN EXISTS (SELECT 1 FROM effects e WHERE e.message_id = p_message AND e.failure = 'withheld')
        THEN 'withheld' ELSE 'done' END
     WHERE id = p_message AND NOT EXISTS (
        SELECT 1 FROM effects e WHERE e.message_id = p_message
           AND (e.status IN ('planned', 'sending', 'unknown') OR e.status = 'failed' AND e.failure IS NULL))
    RETURNING delivery INTO v_delivery;
    IF v_delivery = 'withheld' THEN
        PERFORM answer_held(v_conversation);
    END IF;
    RETURN v_delivery IS NOT NULL;
END $$;

-- may_have_arrived: nobody knows of the part, or of an attempt before one that was not taken. (One that the channel
-- said failed may be one of those of which nobody knew.)
CREATE OR REPLACE FUNCTION may_have_arrived(p_part effects) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT p_part.status = 'unknown' OR (p_part.status = 'planned' OR p_part.failure = 'withheld')
                                        AND p_part.unknown_attempts > (p_part.failed_fence IS NOT NULL)::int
$$;

-- withhold_message: a person has taken the conversation since the bot said this: what has not left of it is kept, and
-- staff are told where a part may have left (*p_note*). Words that may leave after all (`answer_held`) stay due: then
-- false. Where the bot has the conversation again, what they answered is answered anew.
CREATE OR REPLACE FUNCTION withhold_message(p_message uuid, p_note_id uuid, p_note text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    v_message messages%ROWTYPE;
    v_taken_version bigint;
BEGIN
    PERFORM 1 FROM effects WHERE message_id = p_message ORDER BY id FOR UPDATE;
    SELECT c.taken_version INTO v_taken_version FROM messages m JOIN conversations c ON c.id = m.conversation_id
     WHERE m.id = p_message FOR NO KEY UPDATE OF c;
    SELECT * INTO v_message FROM messages WHERE id = p_message FOR UPDATE;
    IF v_message.delivery IS DISTINCT FROM 'due' THEN RETURN true; END IF;
    IF has_arrived(p_message) THEN  -- by a status that came since it was read
        UPDATE messages SET delivery = 'done' WHERE id = p_message;
        RETURN true;
    END IF;
    IF v_message.owner_version >= v_taken_version THEN RETURN false; END IF;
    UPDATE effects SET status = 'failed', failure = 'withheld', settled_at = agent_now()
     WHERE message_id = p_message AND status = 'planned';
    INSERT INTO messages (id, conversation_id, direction, author, channel, id_scope, kind, text, meta)
    SELECT p_note_id, v_message.conversation_id, 'event', 'assistant', v_message.channel, '', 'note', p_note,
           jsonb_build_object('not_arrived', p_message)
     WHERE EXISTS (SELECT 1 FROM effects e WHERE e.message_id = p_message AND may_have_arrived(e))
        ON CONFLICT DO NOTHING;
    UPDATE messages SET delivery = 'withheld' WHERE id = p_message;
    PERFORM answer_held(v_message.conversation_id);
    RETURN true;
END $$;

-- give_up_message: what is left of a message is not sent, and staff read *p_note*, if there is one. Only of a
-- message that is due, under the owner's version that the sender read: one that was withheld meanwhile, or is due
-- anew, is another's to end. Returns whether it ended.
CREATE OR REPLACE FUNCTION give_up_message(
    p_message uuid, p_owner_version bigint, p_failure text, p_error jsonb, p_note_id uuid, p_note text
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_message messages%ROWTYPE;
BEGIN
    PERFORM 1 FROM effects WHERE message_id = p_message ORDER BY id FOR UPDATE;
    PERFORM 1 FROM conversations WHERE id = (
            SELECT conversation_id FROM messages WHERE id = p_message) FOR NO KEY UPDATE;
    SELECT * INTO v_message FROM messages WHERE id = p_message FOR UPDATE;
    IF v_message.delivery IS DISTINCT FROM 'due' OR v_message.owner_version IS DISTINCT FROM p_owner_version THEN
        RETURN false;
    END IF;
    UPDATE effects e SET status = CASE WHEN status <> 'planned' THEN status
                             WHEN may_have_arrived(e) AND p_failure IS DISTINCT FROM 'superseded' THEN 'unknown'
                             ELSE 'failed' END,  -- superseded: what comes in its place is told all the same
           failure = CASE WHEN p_failure = 'superseded' THEN p_failure ELSE coalesce(failure, p_failure) END,
           error = coalesce(error, p_error), settled_at = agent_now()
     WHERE message_id = p_message AND status IN ('planned', 'failed', 'unknown');
    INSERT INTO messages (id, conversation_id, direction, author, channel, id_scope, kind, text, meta)
    SELECT p_note_id, v_message.conversation_id, 'event', 'assistant', v_message.channel, '', 'note', p_note,
           jsonb_build_object('not_arrived', p_message)
     WHERE p_note IS NOT NULL
        ON CONFLICT DO NOTHING;
    UPDATE messages SET delivery = 'done' WHERE id = p_message;
    RETURN true;
END $$;

-- record_statuses: what the channel says of parts of ours. A part is found by our own id, or else by the channel's; how
-- far it came only moves forward: a lower status changes nothing, FAILED replaces only what never arrived. One that
-- failed is due again, for the sender to decide what follows; returns its conversation. That its attempt was once sent
-- may be told late, and says nothing of the one in its place. DELIVERED and READ of any attempt prove that the part
-- arrived, whatever became of it here since: failed, withheld or given up.
CREATE OR REPLACE FUNCTION record_statuses(p_channel text, p_statuses jsonb)
RETURNS TABLE (conversation_id uuid, workflow_id text, channel text, assistant text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_status jsonb;
    v_rank constant jsonb := '{"queued": 0, "sent": 1, "delivered": 2, "read": 3}';
    v_part effects%ROWTYPE;
    v_new text;
    v_fence bigint;  -- of the attempt that it is about
BEGIN
    PERFORM lock_reported(p_statuses);
    FOR v_status IN SELECT value FROM jsonb_array_elements(p_statuses) ORDER BY value ->> 'channel_message_id' LOOP
        v_new := v_status ->> 'status';
        SELECT e.* INTO v_part FROM effects e JOIN conversations c ON c.id = e.conversation_id
         WHERE e.kind = 'part' AND c.channel = p_channel
           AND (e.id = (v_status ->> 'delivery_id')::uuid OR e.external_id = v_status ->> 'channel_message_id')
         ORDER BY e.id IS NOT DISTINCT FROM (v_status ->> 'delivery_id')::uuid DESC LIMIT 1 FOR UPDATE OF e;
        CONTINUE WHEN NOT FOUND OR v_part.reached = 'deleted';
        CONTINUE WHEN v_part.attempts = 0;  -- never sent, so it cannot be meant
        CONTINUE WHEN v_part.status = 'failed' AND v_new NOT IN ('delivered', 'read');
        v_fence := coalesce((v_status ->> 'fence')::bigint, v_part.fence);
        IF v_new <> 'failed' THEN
            UPDATE effects e SET result = with_copy(e, v_status ->> 'channel_message_id') WHERE e.id = v_part.id;
        END IF;
        CONTINUE WHEN v_new IN ('queued', 'sent') AND v_fence <= v_part.failed_fence;
        IF v_new = 'failed' THEN
            -- A failure of an earlier attempt says nothing of the one that followed it.
            CONTINUE WHEN v_fence <> v_part.fence OR v_part.reached IN ('delivered', 'read');
            PERFORM fail_part(v_part, v_status);
            RETURN QUERY SELECT c.id, c.workflow_id, c.channel, c.assistant
                           FROM conversations c WHERE c.id = v_part.conversation_id;
        ELSIF v_new = 'deleted' OR v_part.status IN ('sending', 'unknown', 'failed') OR v_part.status = 'planned' AND
              v_new <> 'queued' OR (v_rank ->> v_new)::int > (v_rank ->> v_part.reached)::int THEN
            PERFORM confirm_part(v_part, v_status);
        END IF;
    END LOOP;
END $$;

-- with_copy: what is noted of a part, and that *p_id* names a copy of it: where nobody knew whether the first had left,
-- it was sent again, and the customer, who has both, may quote either.
CREATE OR REPLACE FUNCTION with_copy(p_part effects, p_id text) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN p_part.external_id <> p_id THEN noted_copy(p_part, p_id) ELSE p_part.result END
$$;

-- noted_copy: the same, whatever the part itself is named. The name of one that is to be sent again is noted so.
CREATE OR REPLACE FUNCTION noted_copy(p_part effects, p_id text) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN p_part.kind = 'part' AND NOT coalesce(p_part.result -> 'copies' ? p_id, p_id IS NULL)
                THEN coalesce(p_part.result, '{}')
                     || jsonb_build_object('copies', coalesce(p_part.result -> 'copies', '[]') || to_jsonb(p_id))
                ELSE p_part.result END
$$;

-- lock_reported: all parts of the messages that statuses are about (so that one report is the last of them), and the
-- conversations of those that failed or are told of, in the order in which all take them.
CREATE OR REPLACE FUNCTION lock_reported(p_statuses jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_failed constant jsonb := jsonb_path_query_array(p_statuses, '$[*] ? (@.status == "failed")');
BEGIN
    PERFORM 1 FROM effects e
     WHERE e.message_id IN (SELECT p.message_id FROM reported_parts(p_statuses) p) ORDER BY e.id FOR UPDATE;
    PERFORM 1 FROM conversations c WHERE c.id IN (
            SELECT p.conversation_id FROM reported_parts(v_failed) p
            UNION ALL
            SELECT p.conversation_id FROM reported_parts(p_statuses) p WHERE is_noted_as_missing(p.message_id))
      ORDER BY c.id FOR NO KEY UPDATE;
END $$;

-- fail_part: the channel says that the part's newest attempt failed: its message is due again, unless its words are
-- erased.
CREATE OR REPLACE FUNCTION fail_part(p_part effects, p_status jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE effects SET status = 'failed', failed_fence = coalesce((p_status ->> 'fence')::bigint, p_part.fence),
           reached = NULL, failure = NULL, error = p_status -> 'error',
           external_id = coalesce(external_id, p_status ->> 'channel_message_id'), settled_at = agent_now()
     WHERE id = p_part.id;
    UPDATE messages SET delivery = 'due' WHERE id = p_part.message_id AND NOT EXISTS (
        SELECT 1 FROM conversations c JOIN customers k ON k.id = c.customer_id
         WHERE c.id = p_part.conversation_id AND k.erased_at IS NOT NULL);
END $$;

-- confirm_part: the channel says how far the part came. A message that was withheld, and has arrived with it, is done;
-- staff who were told that it did not arrive, or that nobody knows, are told that it did.
CREATE OR REPLACE FUNCTION confirm_part(p_part effects, p_status jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE effects SET status = 'confirmed', reached = p_status ->> 'status', failure = NULL, error = NULL,
           external_id = coalesce(external_id, p_status ->> 'channel_message_id'),
           settled_at = CASE WHEN p_part.status = 'confirmed' THEN settled_at ELSE agent_now() END
     WHERE id = p_part.id;
    UPDATE messages SET delivery = 'done'
     WHERE id = p_part.message_id AND delivery = 'withheld' AND has_arrived(id);
    IF p_part.reached IS NULL OR p_part.reached NOT IN ('delivered', 'read') THEN
        PERFORM note_arrival(p_part.message_id);
    END IF;
END $$;

-- is_noted_as_missing: staff have read that the message did not arrive, or that nobody knows whether it did.
CREATE OR REPLACE FUNCTION is_noted_as_missing(p_message uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT 1 FROM messages m JOIN messages n ON n.conversation_id = m.conversation_id
                    WHERE m.id = p_message AND n.kind = 'note' AND n.meta ->> 'not_arrived' = p_message::text)
$$;

-- note_arrival: staff who were told that a message is missing read that it has arrived: once the channel has said so of
-- all its parts, which is the last that it says of any.
CREATE OR REPLACE FUNCTION note_arrival(p_message uuid) RETURNS void LANGUAGE sql AS $$
    INSERT INTO messages (conversation_id, direction, author, channel, id_scope, kind, text)
    SELECT m.conversation_id, 'event', 'assistant', m.channel, '', 'note',
           'The reply of which a note says that it may not have arrived has arrived after all.'
      FROM messages m
     WHERE m.id = p_message AND is_noted_as_missing(m.id) AND NOT EXISTS (
           SELECT 1 FROM effects e WHERE e.message_id = m.id
              AND (e.status <> 'confirmed' OR e.reached NOT IN ('delivered', 'read')))
$$;

-- reported_parts: those that statuses of a channel may mean.
CREATE OR REPLACE FUNCTION reported_parts(p_statuses jsonb) RETURNS SETOF effects LANGUAGE sql STABLE AS $$
    SELECT e.* FROM effects e WHERE e.kind = 'part' AND e.id = ANY(ARRAY(
           SELECT (s ->> 'delivery_id')::uuid FROM jsonb_array_elements(p_statuses) s))
    UNION ALL
    SELECT e.* FROM effects e WHERE e.kind = 'part' AND e.external_id = ANY(ARRAY(
           SELECT s ->> 'channel_message_id' FROM jsonb_array_elements(p_statuses) s))
$$;
