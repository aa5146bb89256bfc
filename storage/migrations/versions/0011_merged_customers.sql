-- How two customers become one. An event that carries both of their keys proves it; from then on one conversation goes
-- on at each account of ours, and the other points to it (`merged_into`). What is open moves: messages that no turn has
-- answered, open questions, handoffs, tickets, threads, replies that are due. What is done stays under its numbers. See ARCHITECTURE.md, *Decisions*.

-- customer_of: whose keys these are. An id never changes hands and a number does, so an id tells more, and who is known
-- by another id than the event's is somebody else. NULL: nobody we know.
CREATE FUNCTION customer_of(p_channel text, p_identities jsonb) RETURNS uuid LANGUAGE sql AS $$
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
--
-- known_customer: the customer with these keys, made if there is none, and locked: nobody merges or erases them until
-- the transaction ends. Keys that were two customers' make them one, unless the two contradict each other (both have a
-- number, or both an id): then the key changes hands, and nothing else does.
CREATE FUNCTION known_customer(p_channel text, p_identities jsonb, p_display_name text) RETURNS uuid
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
--
-- contradict: whether two customers have different keys of one kind, and so may be two people.
CREATE FUNCTION contradict(p_one uuid, p_other uuid) RETURNS boolean LANGUAGE sql AS $$
    SELECT EXISTS (SELECT 1 FROM channel_identities one JOIN channel_identities other USING (channel, kind)
                    WHERE one.customer_id = p_one AND other.customer_id = p_other)
$$;
--
-- move_keys: these keys are another customer's from now on; who had them keeps the conversations, without that address.
CREATE FUNCTION move_keys(p_channel text, p_identities jsonb, p_from uuid, p_into uuid) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE channel_identities i SET customer_id = p_into, created_at = agent_now()
      FROM jsonb_array_elements(p_identities) AS wanted
     WHERE i.customer_id = p_from AND i.channel = p_channel
       AND i.kind = wanted ->> 'kind' AND i.value = wanted ->> 'value';
    INSERT INTO audit (actor, deed, subject, details)
    VALUES ('inbox', 'customer.key_moved', 'customer/' || p_from, jsonb_build_object('to', p_into));
END $$;
--
-- change_keys: the channel says that a customer has other keys from now on. The old ones are free: whoever comes with
-- them next is somebody else. Who has a new key already is the same person if they began after the change; if they
-- began before it, the key changed hands.
CREATE FUNCTION change_keys(p_customer uuid, p_channel text, p_old jsonb, p_new jsonb, p_changed_at timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
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
--
-- merge_customers: all that is one's is the other's. At an account where both have a conversation, one goes on.
CREATE FUNCTION merge_customers(p_from uuid, p_into uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_pair record;
BEGIN
    PERFORM 1 FROM customers WHERE id IN (p_from, p_into) ORDER BY id FOR NO KEY UPDATE;
    UPDATE channel_identities SET customer_id = p_into WHERE customer_id = p_from;
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
--
-- merge_conversations: one goes on: that in which an effect is under way (its turn ends where it began), else that
-- which a human has, else the older one.
CREATE FUNCTION merge_conversations(p_one uuid, p_other uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_both constant uuid[] := ARRAY[p_one, p_other];
    v_stays uuid;
    v_goes uuid;
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
    UPDATE conversations SET merged_into = v_stays WHERE merged_into = v_goes;
    PERFORM hand_over(v_goes);
END $$;
--
-- lock_effects: nobody begins what is open in these conversations, nor a part of a reply that moves, meanwhile.
CREATE FUNCTION lock_effects(p_conversations uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM effects e
     WHERE e.conversation_id = ANY(p_conversations)
       AND (e.status IN ('planned', 'sending') OR e.message_id IN (
            SELECT m.id FROM messages m WHERE m.conversation_id = ANY(p_conversations) AND m.delivery = 'due'))
     ORDER BY e.id FOR UPDATE;
END $$;
--
-- hand_over: moves what is open in a merged conversation to the one that goes on, which is returned with what it owes.
-- Called by the merge, and again by the merged one's last run for what came to it late; it may be repeated.
CREATE FUNCTION hand_over(p_from uuid)
RETURNS TABLE (conversation_id uuid, workflow_id text, channel text, assistant text, seq bigint,
               files boolean, is_waiting boolean, needs_delivery boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_from conversations%ROWTYPE;
    v_into conversations%ROWTYPE;
    v_called boolean;     -- a person has the merged one
    v_human boolean;      -- a person has either
    v_under_way boolean;  -- a turn of the merged one ends where it began
    v_kept bigint;
    v_held bigint[];
    v_moved bigint[];
BEGIN
    PERFORM lock_effects(ARRAY[p_from]);
    PERFORM 1 FROM turns t WHERE t.conversation_id = p_from AND t.finished_at IS NULL ORDER BY t.id FOR UPDATE;
    PERFORM 1 FROM conversations c WHERE c.id = p_from OR c.id = (
            SELECT merged_into FROM conversations WHERE id = p_from) ORDER BY c.id FOR UPDATE;
    SELECT * INTO v_from FROM conversations c WHERE c.id = p_from;
    SELECT * INTO v_into FROM conversations c WHERE c.id = v_from.merged_into;
    IF NOT FOUND THEN RETURN; END IF;
    v_called := EXISTS (SELECT 1 FROM handoffs h WHERE h.conversation_id = p_from AND h.released_at IS NULL);
    v_human := v_called OR 'human' IN (v_from.owner, v_into.owner);

    PERFORM drop_questions_under_way(p_from);
    -- A turn with an effect ends where it began; its messages stay with it.
    SELECT count(*) > 0, coalesce(max(t.last_seq), v_from.cursor) INTO v_under_way, v_kept
      FROM turns t WHERE t.conversation_id = p_from AND t.finished_at IS NULL;
    -- Held ones go to the person; those that a release asks about (by a message of its own) are answered like others.
    v_held := CASE WHEN v_human THEN ARRAY(SELECT h.seq FROM held_messages(p_from) h)
                   ELSE ARRAY(SELECT jsonb_array_elements_text(k.meta -> 'held')::bigint FROM messages k
                               WHERE k.conversation_id = p_from AND k.kind = 'held' AND k.seq > v_kept) END;
    DELETE FROM messages k WHERE k.conversation_id = p_from AND k.kind = 'held' AND k.seq > v_kept;
    v_moved := ARRAY(SELECT m.seq FROM messages m WHERE m.conversation_id = p_from AND m.seq IS NOT NULL
                        AND (m.seq > v_kept OR m.seq = ANY(v_held)) ORDER BY m.seq);
    UPDATE messages m SET conversation_id = v_into.id, seq = v_into.newest_seq + moved.place
      FROM unnest(v_moved) WITH ORDINALITY AS moved(seq, place)
     WHERE m.conversation_id = p_from AND m.seq = moved.seq;
    -- What the bot said leaves only if a person has neither; a version before all take-overs withholds it.
    UPDATE messages m SET conversation_id = v_into.id, owner_version = CASE WHEN m.owner_version IS NULL THEN NULL
           WHEN v_human OR m.owner_version < v_from.taken_version THEN -1 ELSE v_into.owner_version END
     WHERE m.conversation_id = p_from AND m.delivery = 'due';
    UPDATE effects e SET conversation_id = v_into.id,
           owner_version = CASE WHEN e.owner_version IS NOT NULL THEN m.owner_version END
      FROM messages m
     WHERE e.conversation_id = p_from AND e.kind = 'part' AND m.id = e.message_id AND m.conversation_id = v_into.id;
    UPDATE media f SET conversation_id = v_into.id FROM messages m
     WHERE f.conversation_id = p_from AND m.id = f.message_id AND m.conversation_id = v_into.id;

    PERFORM move_questions(v_from, v_into, v_moved);
    PERFORM move_threads(p_from, v_into.id);
    UPDATE tickets k SET conversation_id = v_into.id WHERE k.conversation_id = p_from;
    UPDATE handoffs h SET released_at = agent_now(), released_by = 'merged'
     WHERE h.conversation_id = p_from AND h.released_at IS NULL
       AND EXISTS (SELECT 1 FROM handoffs open WHERE open.conversation_id = v_into.id AND open.released_at IS NULL);
    UPDATE handoffs h SET conversation_id = v_into.id WHERE h.conversation_id = p_from;

    UPDATE conversations c SET newest_seq = v_into.newest_seq + cardinality(v_moved),
           last_message_at = greatest(v_into.last_message_at, v_from.last_message_at)
     WHERE c.id = v_into.id;
    PERFORM own_after_merge(v_into.id, v_called);
    IF NOT v_under_way AND v_from.owner <> 'closed' THEN  -- under the same version: a late outcome is not withheld
        INSERT INTO transitions (conversation_id, version, from_owner, to_owner, why, who)
        VALUES (p_from, v_from.owner_version, v_from.owner, 'closed', 'merged', 'inbox');
    END IF;
    UPDATE conversations c SET newest_seq = v_kept, stopped_seq = NULL,
           owner = CASE WHEN v_under_way THEN v_from.owner ELSE 'closed' END
     WHERE c.id = p_from;

    RETURN QUERY
    SELECT c.id, c.workflow_id, c.channel, c.assistant, c.newest_seq,
           EXISTS (SELECT 1 FROM media f WHERE f.conversation_id = c.id AND f.status = 'due'), c.cursor < c.newest_seq,
           EXISTS (SELECT 1 FROM messages m WHERE m.conversation_id = c.id AND m.delivery = 'due')
      FROM conversations c WHERE c.id = v_into.id;
END $$;
--
-- own_after_merge: whose the conversation that goes on is. A person who had the merged one has it from now on, as if
-- they took it: what the bot has under way there is withheld. No question is open to the customer of a person's
-- conversation; one that came to a closed one opens it.
CREATE FUNCTION own_after_merge(p_conversation uuid, p_called boolean) RETURNS void LANGUAGE plpgsql AS $$
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
--
-- drop_questions_under_way: what is asked now, or about to be, and has done nothing yet is given up: the turn ends, and
-- its messages are answered elsewhere. An answer that still comes is not used.
CREATE FUNCTION drop_questions_under_way(p_conversation uuid) RETURNS void LANGUAGE sql AS $$
    WITH dropped AS (
        UPDATE turns t SET status = 'held', failure = 'merged', step = t.step + 1, attempt = t.attempt + 1,
               purpose = 'answer', finished_at = agent_now()
         WHERE t.conversation_id = p_conversation AND t.finished_at IS NULL
           AND NOT EXISTS (SELECT 1 FROM effects e WHERE e.turn_id = t.id AND e.kind <> 'part')
        RETURNING t.id
    ), place AS (
        DELETE FROM account_places WHERE conversation_id = p_conversation
    )
    UPDATE account_calls SET ended_at = agent_now()
     WHERE turn_id IN (SELECT id FROM dropped) AND ended_at IS NULL
$$;
--
-- move_questions: what waits for a yes waits in the conversation that goes on, after the same messages as before. Of
-- two questions to one customer the newer is open: of which one a yes would mean, nobody could be sure.
CREATE FUNCTION move_questions(p_from conversations, p_into conversations, p_moved bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE actions a SET conversation_id = p_into.id, asked_seq = p_into.newest_seq + (
           SELECT count(*) FROM unnest(p_moved) AS moved(seq) WHERE moved.seq <= a.asked_seq)
     WHERE a.conversation_id = p_from.id AND a.status = 'awaiting_confirmation';
    WITH dropped AS (
        UPDATE actions a SET status = 'cancelled', settled_at = agent_now()
         WHERE a.conversation_id = p_into.id AND a.status = 'awaiting_confirmation' AND a.confirmation_by = 'customer'
           AND EXISTS (SELECT 1 FROM actions newer WHERE newer.conversation_id = p_into.id
                          AND newer.status = 'awaiting_confirmation' AND newer.confirmation_by = 'customer'
                          AND (newer.created_at, newer.id) > (a.created_at, a.id)) RETURNING a.id
    )
    INSERT INTO transitions (conversation_id, version, from_owner, to_owner, why, who)
    SELECT p_into.id, p_into.owner_version, p_into.owner, p_into.owner, 'cancelled', 'inbox' FROM dropped;
END $$;
--
-- move_threads: all ids are found in the conversation that goes on, in its own thread; in the merged one's if it has none.
CREATE FUNCTION move_threads(p_from uuid, p_into uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM threads WHERE conversation_id = p_into AND ended_at IS NULL)
       OR EXISTS (SELECT 1 FROM turns WHERE conversation_id = p_into AND finished_at IS NULL) THEN
        UPDATE threads SET ended_at = agent_now(), end_reason = 'merged'
         WHERE conversation_id = p_from AND ended_at IS NULL;
    END IF;
    UPDATE threads SET conversation_id = p_into WHERE conversation_id = p_from;
END $$;
--
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
--
-- store_channel_message: one message, reaction, echo, … of a webhook, for the assistant that this account belongs to.
-- `outcome`: new | repeated | noted | unknown_account (not one of our accounts: kept aside, without effect).
CREATE OR REPLACE FUNCTION store_channel_message(p_channel text, p jsonb, p_options jsonb)
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
        IF NOT note_event(v_conversation.id, p_channel, v_account, p) THEN
            RETURN QUERY SELECT 'repeated', v_conversation.id, v_conversation.workflow_id, p_channel,
                                v_conversation.assistant, 0::bigint;
            RETURN;
        END IF;
        IF p ->> 'kind' = 'system' THEN  -- once: a repeated one must not free a key that somebody else has by now
            PERFORM change_keys(v_conversation.customer_id, p_channel, p -> 'identities', p -> 'new_identities',
                                (p ->> 'sent_at')::timestamptz);
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
-- `merged`, at last: each conversation that ended by this batch, to be told.
-- Customers and limits are locked in one order beforehand, or two webhooks with the same ones could block each other.
CREATE OR REPLACE FUNCTION store_channel_messages(p_channel text, p_messages jsonb, p_options jsonb)
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
    RETURN QUERY
    SELECT 'merged', c.id, c.workflow_id, c.channel, c.assistant, 0::bigint FROM conversations c
     WHERE c.merged_at = agent_now() AND c.customer_id IN (
           SELECT i.customer_id FROM jsonb_array_elements(p_messages) m,
                  jsonb_array_elements((m -> 'identities') || (m -> 'new_identities')) AS wanted
             JOIN channel_identities i ON i.channel = p_channel
              AND i.kind = wanted ->> 'kind' AND i.value = wanted ->> 'value');
END $$;
--
-- refuse_turn_of_merged: no turn begins in a merged conversation. Who took messages from there just before they moved
-- is told to look again (40001), once the merge is committed.
CREATE FUNCTION refuse_turn_of_merged() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_into uuid;
BEGIN
    SELECT merged_into INTO v_into FROM conversations WHERE id = NEW.conversation_id FOR KEY SHARE;
    IF v_into IS NOT NULL THEN
        RAISE EXCEPTION 'the conversation goes on in another one' USING ERRCODE = '40001';
    END IF;
    RETURN NULL;
END $$;
--
CREATE TRIGGER turns_refuse_merged AFTER INSERT ON turns FOR EACH ROW EXECUTE FUNCTION refuse_turn_of_merged();
