-- is_done: something was, or may be, done for the turn that outlasts it: asked again, it could be done twice. So is what
-- staff have still to decide, and what they decided that came to nothing, or let pass: the turn is settled by the words
-- that say so.
CREATE OR REPLACE FUNCTION is_done(p_turn uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT 1 FROM actions a LEFT JOIN effects e ON e.key = a.effect_key
         WHERE a.turn_id = p_turn
           AND (a.stands AND (e.status IN ('planned', 'sending', 'confirmed', 'unknown')
                              OR a.status = 'awaiting_confirmation' AND a.confirmation_by = 'staff')
                OR a.confirmation_by = 'staff' AND a.decided_by IS NOT NULL
                   AND (e.key IS NULL OR e.status = 'failed' AND e.failure <> 'withheld')
                OR a.confirmation_by = 'staff' AND a.status = 'expired'))
$$;
--
-- lock_promise: nobody begins what the bot said in this turn meanwhile.
CREATE FUNCTION lock_promise(p_turn uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM effects e WHERE e.message_id IN (
            SELECT m.id FROM messages m WHERE m.turn_id = p_turn AND m.direction = 'out')
      ORDER BY e.id FOR UPDATE;
END $$;
--
-- expire_question: a question, or an approval, whose time is over ends, once, and is told: to staff by a note, and to
-- the customer where the bot tells them (under the owners *p_told_under*). Words of before, that it is open, end with it
-- where they have not begun to leave; where a person has the conversation, *p_words* are kept in their place
-- (`end_promise`). Returns whether words wait to be sent over a channel.
CREATE FUNCTION expire_question(
    p_action uuid, p_told_under text[], p_words text, p_note text, p_untold_note text
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_action actions%ROWTYPE;
    v_place conversations%ROWTYPE;
    v_told boolean;
BEGIN
    SELECT * INTO v_action FROM actions WHERE id = p_action;
    PERFORM lock_promise(v_action.turn_id);
    SELECT * INTO v_place FROM conversations WHERE id = v_action.conversation_id FOR NO KEY UPDATE;
    UPDATE actions SET status = 'expired', settled_at = agent_now()
     WHERE id = p_action AND conversation_id = v_place.id AND status = 'awaiting_confirmation'
       AND expires_at <= agent_now();
    IF NOT FOUND THEN RETURN false; END IF;
    v_told := v_place.owner = ANY(p_told_under);
    INSERT INTO transitions (conversation_id, version, from_owner, to_owner, why, who)
    VALUES (v_place.id, v_place.owner_version, v_place.owner, v_place.owner, 'expired', 'nobody');
    PERFORM end_promise(v_place.id, v_action.turn_id, CASE WHEN NOT v_told THEN p_words END);
    INSERT INTO messages (conversation_id, direction, author, channel, id_scope, channel_message_id, text,
                          owner_version, delivery)
    SELECT v_place.id, 'out', 'assistant', v_place.channel, 'action', p_action::text, p_words, v_place.owner_version,
           CASE WHEN needs_delivery(v_place.channel, v_place.account) THEN 'due' END
     WHERE v_told
        ON CONFLICT DO NOTHING;
    INSERT INTO messages (conversation_id, direction, author, channel, id_scope, kind, text)
    VALUES (v_place.id, 'event', 'assistant', v_place.channel, '', 'note',
            CASE WHEN v_told THEN p_note ELSE p_untold_note END);
    RETURN v_told AND needs_delivery(v_place.channel, v_place.account);
END $$;
--
-- keeps_thread: whether the conversation goes on in its own thread after a merge: it has one in use, or is about to.
CREATE FUNCTION keeps_thread(p_conversation uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT 1 FROM threads WHERE conversation_id = p_conversation AND ended_at IS NULL)
        OR EXISTS (SELECT 1 FROM turns WHERE conversation_id = p_conversation AND finished_at IS NULL)
$$;
--
-- move_threads: all ids are found in the conversation that goes on, in its own thread; in the merged one's if it has none.
CREATE OR REPLACE FUNCTION move_threads(p_from uuid, p_into uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF keeps_thread(p_into) THEN
        UPDATE threads SET ended_at = agent_now(), end_reason = 'merged'
         WHERE conversation_id = p_from AND ended_at IS NULL;
    END IF;
    UPDATE threads SET conversation_id = p_into WHERE conversation_id = p_from;
END $$;
--
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
     WHERE v_brings AND s.id = v_stays AND c.merged_into = v_stays AND c.merged_at > coalesce(s.merges_told_at, '-infinity');
    UPDATE conversations SET merges_told_at = greatest(merges_told_at, v_told)
     WHERE v_brings AND id = v_stays AND v_told > '-infinity';
    UPDATE conversations SET merged_into = v_stays,
           merged_at = CASE WHEN v_brings AND merged_at <= v_told THEN merged_at ELSE agent_now() END
     WHERE merged_into = v_goes;
    PERFORM hand_over(v_goes);
END $$;
--
-- hand_over: moves what is open in a merged conversation to the one that goes on, which is returned with what it owes:
-- what nobody has answered too, to be answered there, and the kept words of what was done. Called by the merge, and
-- again by the merged one's last run for what came to it late; it may be repeated.
CREATE OR REPLACE FUNCTION hand_over(p_from uuid)
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
    v_wanted bigint[];    -- held ones that are about to be taken up
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
    IF v_human THEN  -- what the bot said and nobody has begun to send is withheld from now on
        WITH withheld AS (
            UPDATE messages m SET delivery = 'withheld'
             WHERE m.conversation_id = p_from AND m.delivery = 'due' AND m.owner_version IS NOT NULL AND NOT EXISTS (
                   SELECT 1 FROM effects e WHERE e.message_id = m.id AND e.status <> 'planned') RETURNING m.id
        )
        UPDATE effects e SET status = 'failed', failure = 'withheld', settled_at = agent_now()
          FROM withheld WHERE e.message_id = withheld.id;
    END IF;
    -- Held ones go to the person, or are answered like others, where that is theirs to be.
    v_wanted := ARRAY(SELECT jsonb_array_elements_text(k.meta -> 'held')::bigint FROM messages k
                       WHERE k.conversation_id = p_from AND k.kind = 'held' AND k.seq > v_kept);
    DELETE FROM messages k WHERE k.conversation_id = p_from AND k.kind = 'held' AND k.seq > v_kept;
    v_held := ARRAY(SELECT h.seq FROM messages_to_ask_about(p_from) h
                     WHERE v_human OR answers_held(v_from.assistant) OR h.seq = ANY(v_wanted));
    v_moved := ARRAY(SELECT m.seq FROM messages m WHERE m.conversation_id = p_from AND m.seq IS NOT NULL
                        AND (m.seq > v_kept OR m.seq = ANY(v_held)) ORDER BY m.seq);
    UPDATE messages m SET conversation_id = v_into.id, seq = v_into.newest_seq + moved.place
      FROM unnest(v_moved) WITH ORDINALITY AS moved(seq, place)
     WHERE m.conversation_id = p_from AND m.seq = moved.seq;
    -- What the bot said leaves only if a person has neither; a version before all take-overs withholds it.
    UPDATE messages m SET conversation_id = v_into.id, owner_version = CASE WHEN m.owner_version IS NULL THEN NULL
           WHEN v_human OR m.owner_version < v_from.taken_version THEN -1 ELSE v_into.owner_version END
     WHERE m.conversation_id = p_from AND (m.delivery = 'due' OR m.id IN (SELECT w.id FROM words_to_tell(p_from) w));
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

    -- What came before the merged one was closed opens the other as little: behind nothing else that waits there.
    UPDATE conversations c SET newest_seq = v_into.newest_seq + cardinality(v_moved),
           closed_seq = CASE WHEN v_from.owner = 'closed' AND v_into.newest_seq <= greatest(v_into.cursor, v_into.closed_seq)
                        THEN v_into.newest_seq + (SELECT count(*) FROM unnest(v_moved) AS moved(seq)
                                                   WHERE moved.seq <= v_from.closed_seq)
                        ELSE v_into.closed_seq END,
           last_message_at = greatest(v_into.last_message_at, v_from.last_message_at)
     WHERE c.id = v_into.id;
    PERFORM own_after_merge(v_into.id, v_called);
    PERFORM answer_held(v_into.id);
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
-- bring_questions: of a reply that moved here by a merge and was withheld here, what it answered comes after it: behind
-- all other messages, to be held or answered like them; it opens no closed conversation. Not where something was done
-- for it (its words are told), nor what a person has answered: where it stood, or here, since the reply came.
CREATE OR REPLACE FUNCTION bring_questions(p_conversation uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    WITH unanswered AS MATERIALIZED (
        SELECT t.conversation_id, t.first_seq, t.last_seq, k.moved_at
          FROM kept_words(p_conversation) k JOIN turns t ON t.id = k.turn_id
         WHERE t.conversation_id <> p_conversation AND t.status IN ('answered', 'apologised')
           AND k.delivery = 'withheld' AND NOT is_done(t.id)
    ), took AS MATERIALIZED (
        SELECT m.*, u.moved_at AS reply_moved_at FROM unanswered u JOIN messages m ON m.conversation_id = u.conversation_id
           AND m.seq BETWEEN u.first_seq AND u.last_seq
    ), asked AS (
        SELECT id, reply_moved_at FROM took
        UNION  -- what a message of kind `held` names
        SELECT m.id, k.reply_moved_at FROM took k CROSS JOIN LATERAL jsonb_array_elements_text(k.meta -> 'held') AS named(seq)
          JOIN messages m ON m.conversation_id = k.conversation_id AND m.seq = named.seq::bigint
    ), wanted AS MATERIALIZED (
        SELECT m.id, row_number() OVER (ORDER BY m.stored_at, m.seq) AS place
          FROM (SELECT id, max(reply_moved_at) AS reply_moved_at FROM asked GROUP BY id) AS asked JOIN messages m USING (id)
         WHERE m.kind NOT IN ('held', 'deleted') AND m.stored_at > persons_word(m.conversation_id)
           AND greatest(m.stored_at, asked.reply_moved_at) > persons_word(p_conversation)
    ), moved AS (
        UPDATE messages m SET conversation_id = p_conversation, seq = c.newest_seq + wanted.place
          FROM wanted, conversations c WHERE m.id = wanted.id AND c.id = p_conversation RETURNING m.id, m.seq
    ), files AS (
        UPDATE media f SET conversation_id = p_conversation FROM moved WHERE f.message_id = moved.id
    )
    UPDATE conversations c SET newest_seq = (SELECT max(seq) FROM moved),
           closed_seq = CASE WHEN c.owner = 'closed' AND c.newest_seq <= greatest(c.cursor, c.closed_seq)
                        THEN (SELECT max(seq) FROM moved) ELSE c.closed_seq END
     WHERE c.id = p_conversation AND EXISTS (SELECT 1 FROM moved);
END $$;
--
-- lock_to_merge: those whom a message of the webhook may make one, their conversations and what is open there, in the
-- order in which all take them: a message stored before it, or the event itself, locks a conversation already.
CREATE FUNCTION lock_to_merge(p_channel text, p_messages jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_customers uuid[];
    v_conversations uuid[];
BEGIN
    SELECT array_agg(DISTINCT known.id) INTO v_customers
      FROM jsonb_array_elements(p_messages) AS m CROSS JOIN LATERAL (
           SELECT array_agg(DISTINCT i.customer_id) AS customers
             FROM jsonb_array_elements((m -> 'identities') || (m -> 'new_identities')) AS wanted
             JOIN channel_identities i ON i.channel = p_channel
              AND i.kind = wanted ->> 'kind' AND i.value = wanted ->> 'value') AS keys
      CROSS JOIN LATERAL unnest(keys.customers) AS known(id)
     WHERE cardinality(keys.customers) > 1;
    IF v_customers IS NULL THEN RETURN; END IF;
    PERFORM 1 FROM customers WHERE id = ANY(v_customers) ORDER BY id FOR NO KEY UPDATE;
    v_conversations := ARRAY(SELECT id FROM conversations WHERE customer_id = ANY(v_customers) AND merged_into IS NULL);
    PERFORM lock_effects(v_conversations);
    PERFORM 1 FROM turns WHERE conversation_id = ANY(v_conversations) AND finished_at IS NULL ORDER BY id FOR UPDATE;
    PERFORM 1 FROM conversations WHERE id = ANY(v_conversations) ORDER BY id FOR UPDATE;
END $$;
--
-- store_channel_messages: all of a webhook, in its order; each by itself, so the batch is stored whole or not at all.
-- `merged`, at last: each conversation that ended by this batch, to be told.
-- Customers and limits are locked in one order beforehand, or two webhooks with the same ones could block each other. So
-- is all that a merge locks, before any other conversation is (`lock_to_merge`).
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
    PERFORM lock_to_merge(p_channel, p_messages);
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
