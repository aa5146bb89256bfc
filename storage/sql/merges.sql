-- How two customers become one. An event that carries both of their keys proves it (customers.sql); from then on one
-- conversation goes on at each account of ours, and the other points to it (`merged_into`). What is open moves
-- (moves.sql). What is done stays under its numbers. See docs/decisions.md, *A merged conversation is a pointer*.

-- merge_customers: all that is one's is the other's. At an account where both have a conversation, one goes on.
CREATE OR REPLACE FUNCTION merge_customers(p_from uuid, p_into uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_pair record;
BEGIN
    PERFORM 1 FROM customers WHERE id IN (p_from, p_into) ORDER BY id FOR NO KEY UPDATE;
    UPDATE channel_identities SET customer_id = p_into, verified_at = NULL WHERE customer_id IN (p_from, p_into);
    UPDATE former_identities SET customer_id = p_into WHERE customer_id = p_from;
    FOR v_pair IN
        SELECT one.id AS one, other.id AS other FROM conversations one JOIN conversations other USING (channel, account)
         WHERE one.customer_id = p_from AND other.customer_id = p_into
           AND one.merged_into IS NULL AND other.merged_into IS NULL ORDER BY one.id
    LOOP
        PERFORM merge_conversations(v_pair.one, v_pair.other);
    END LOOP;
    UPDATE conversations SET customer_id = p_into WHERE customer_id = p_from;
    UPDATE customers SET display_name = (SELECT display_name FROM customers WHERE id = p_from)
     WHERE id = p_into AND display_name IS NULL;
    UPDATE customers SET merged_into = p_into, display_name = NULL WHERE id = p_from OR merged_into = p_from;
    INSERT INTO audit (actor, deed, subject, details)
    VALUES ('inbox', 'customer.merged', 'customer/' || p_from, jsonb_build_object('into', p_into));
END $$;

-- merge_conversations: one goes on: that in which an effect is under way (its turn ends where it began), else that
-- which a human has, else the older one. Its thread is to be told (`merged_at`, above `merges_told_at`) of all that the
-- other brings, by an earlier merge too; where the other's thread goes on, of what that one was not told.
CREATE OR REPLACE FUNCTION merge_conversations(p_one uuid, p_other uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_both constant uuid[] := ARRAY[p_one, p_other];
    v_stays uuid;
    v_goes uuid;
    v_told timestamptz;  -- what came until then is known to the thread that the merged one brings
    v_brings boolean;
BEGIN
    -- In the order in which turns and erasures take them.
    PERFORM lock_effects(v_both);
    PERFORM 1 FROM turns WHERE conversation_id = ANY(v_both) AND finished_at IS NULL ORDER BY id FOR UPDATE;
    PERFORM 1 FROM conversations WHERE id = ANY(v_both) ORDER BY id FOR UPDATE;
    SELECT c.id INTO v_stays FROM conversations c WHERE c.id = ANY(v_both)
     ORDER BY (EXISTS (SELECT 1 FROM effects e WHERE e.conversation_id = c.id AND e.status IN ('planned', 'sending')
                          AND e.kind <> 'part')
               OR EXISTS (SELECT 1 FROM turns t JOIN effects e ON e.turn_id = t.id AND e.kind <> 'part'
                           WHERE t.conversation_id = c.id AND t.finished_at IS NULL)) DESC,
              (c.owner = 'human') DESC, c.created_at, c.id LIMIT 1;
    v_goes := CASE WHEN v_stays = p_one THEN p_other ELSE p_one END;
    UPDATE conversations SET merged_into = v_stays, merged_at = agent_now() WHERE id = v_goes;
    v_brings := EXISTS (SELECT 1 FROM threads WHERE conversation_id = v_goes AND ended_at IS NULL)
                AND NOT keeps_thread(v_stays);
    SELECT coalesce(merges_told_at, '-infinity') INTO v_told FROM conversations WHERE id = v_goes;
    UPDATE conversations c SET merged_at = agent_now() FROM conversations s
     WHERE v_brings AND s.id = v_stays AND c.merged_into = v_stays
       AND c.merged_at > coalesce(s.merges_told_at, '-infinity');
    UPDATE conversations SET merges = merges + 1,
           merges_told_at = CASE WHEN v_brings AND v_told > '-infinity' THEN greatest(merges_told_at, v_told)
                            ELSE merges_told_at END
     WHERE id = v_stays;
    UPDATE conversations SET merged_into = v_stays,
           merged_at = CASE WHEN v_brings AND merged_at <= v_told THEN merged_at ELSE agent_now() END
     WHERE merged_into = v_goes;
    PERFORM move_open_work(v_goes);
END $$;

-- lock_effects: nobody begins what is open in these conversations, nor a part of a reply that moves, meanwhile.
CREATE OR REPLACE FUNCTION lock_effects(p_conversations uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM effects e
     WHERE e.conversation_id = ANY(p_conversations)
       AND (e.status IN ('planned', 'sending') OR e.message_id IN (
            SELECT m.id FROM messages m WHERE m.conversation_id = ANY(p_conversations) AND m.delivery = 'due'))
     ORDER BY e.id FOR UPDATE;
END $$;

-- own_after_merge: whose the conversation that goes on is. A person who had the merged one has it from now on, as if
-- they took it: what the bot has under way there is withheld. No question is open to the customer of a person's
-- conversation; one that came to a closed one opens it.
CREATE OR REPLACE FUNCTION own_after_merge(p_conversation uuid, p_called boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_person constant jsonb := '{"to": "human", "drops": ["customer"]}';
    v_rules jsonb := '{"human": {"drops": ["customer"]}}';
BEGIN
    IF p_called THEN
        v_rules := v_rules || jsonb_build_object('bot', v_person, 'closed', v_person);
    ELSIF EXISTS (SELECT 1 FROM actions a WHERE a.conversation_id = p_conversation
                     AND a.status = 'awaiting_confirmation' AND a.confirmation_by = 'customer') THEN
        v_rules := v_rules || '{"closed": {"to": "bot"}}';
    END IF;
    PERFORM change_owner(p_conversation, 'merged', v_rules, 'inbox', 'merged');
END $$;

-- refuse_turn_of_merged: no turn begins in a merged conversation. Who took messages from there just before they moved
-- is told to look again (40001), once the merge is committed.
CREATE OR REPLACE FUNCTION refuse_turn_of_merged() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_into uuid;
BEGIN
    SELECT merged_into INTO v_into FROM conversations WHERE id = NEW.conversation_id FOR KEY SHARE;
    IF v_into IS NOT NULL THEN
        RAISE EXCEPTION 'the conversation goes on in another one' USING ERRCODE = '40001';
    END IF;
    RETURN NULL;
END $$;

-- going_on: the conversation, or the one that it was merged into, locked: it is merged into no other one until the
-- transaction ends.
CREATE OR REPLACE FUNCTION going_on(p_conversation uuid) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    v_into uuid;
BEGIN
    SELECT coalesce(merged_into, id) INTO p_conversation FROM conversations WHERE id = p_conversation;
    LOOP
        SELECT merged_into INTO v_into FROM conversations WHERE id = p_conversation FOR NO KEY UPDATE;
        IF v_into IS NULL THEN RETURN p_conversation; END IF;
        p_conversation := v_into;  -- merged while we waited for it
    END LOOP;
END $$;

-- lock_to_merge: those whom a message of the webhook may make one, their conversations and what is open there, in the
-- order in which all take them: a message stored before it, or the event itself, locks a conversation already.
CREATE OR REPLACE FUNCTION lock_to_merge(p_channel text, p_messages jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_customers uuid[];
    v_conversations uuid[];
BEGIN
    SELECT array_agg(DISTINCT known.id) INTO v_customers
      FROM jsonb_array_elements(p_messages) AS m CROSS JOIN LATERAL (
           SELECT array_agg(DISTINCT customer.id) AS customers
             FROM jsonb_array_elements((m -> 'identities') || (m -> 'new_identities')) AS wanted
            CROSS JOIN LATERAL (
                  SELECT i.customer_id AS id FROM channel_identities i
                   WHERE i.channel = p_channel AND i.kind = wanted ->> 'kind' AND i.value = wanted ->> 'value'
                  UNION ALL
                  SELECT had.customer_id FROM had_then(p_channel, wanted ->> 'kind', wanted ->> 'value',
                         coalesce((m ->> 'sent_at')::timestamptz, agent_now())) had) AS customer) AS keys
      CROSS JOIN LATERAL unnest(keys.customers) AS known(id)
     WHERE cardinality(keys.customers) > 1;
    IF v_customers IS NULL THEN RETURN; END IF;
    PERFORM 1 FROM customers WHERE id = ANY(v_customers) ORDER BY id FOR NO KEY UPDATE;
    v_conversations := ARRAY(SELECT id FROM conversations WHERE customer_id = ANY(v_customers) AND merged_into IS NULL);
    PERFORM lock_effects(v_conversations);
    PERFORM 1 FROM turns WHERE conversation_id = ANY(v_conversations) AND finished_at IS NULL ORDER BY id FOR UPDATE;
    PERFORM 1 FROM conversations WHERE id = ANY(v_conversations) ORDER BY id FOR UPDATE;
END $$;
