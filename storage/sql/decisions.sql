-- What staff decided on an action, told once.

-- tell_decision: what came of an action that staff decided on is said once, and with it the owner changes where the
-- action does that (*p_event*, *p_rules*): only under the version that the decision was made under, else *p_instead* is
-- said and the action counts as not done. A close is the bot's own: what the customer wrote meanwhile comes after it.
-- Under the owners *p_told_under* the bot tells the customer; else it is a note.
-- Words of before, that somebody has still to agree, are never told after it: where the customer is told now, they end;
-- where a person has the conversation, what came of it is kept in their place.
CREATE OR REPLACE FUNCTION tell_decision(
    p_conversation uuid, p_action uuid, p_event text, p_rules jsonb, p_reason text, p_words text, p_instead text,
    p_told_under text[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_action actions%ROWTYPE;
    v_before conversations%ROWTYPE;
    v_version bigint;  -- the owner's, that the decision was made under
    v_told boolean;
    v_overtaken boolean := false;
    v_words text;
BEGIN
    SELECT * INTO v_action FROM actions WHERE id = p_action;
    PERFORM lock_planning(p_conversation);
    PERFORM 1 FROM effects e WHERE e.key = v_action.effect_key OR e.message_id IN (
            SELECT m.id FROM messages m WHERE m.turn_id = v_action.turn_id AND m.direction = 'out')
      ORDER BY e.id FOR UPDATE;
    SELECT coalesce(v_action.decided_version, e.owner_version) INTO v_version FROM effects e
     WHERE e.key = v_action.effect_key;
    SELECT * INTO v_before FROM conversations WHERE id = p_conversation FOR NO KEY UPDATE;
    IF EXISTS (SELECT 1 FROM messages WHERE channel = v_before.channel AND id_scope = 'action'
                  AND channel_message_id = p_action::text)
       OR EXISTS (SELECT 1 FROM customers k WHERE k.id = v_before.customer_id AND k.erased_at IS NOT NULL) THEN
        RETURN;
    END IF;
    v_told := v_before.owner = ANY(p_told_under);
    IF p_event IS NOT NULL THEN
        v_overtaken := v_before.owner_version <> v_version;
        PERFORM change_owner(p_conversation, p_event, p_rules, v_action.decided_by, p_reason, p_version => v_version);
        UPDATE conversations SET closed_seq = v_before.closed_seq WHERE id = p_conversation;
    END IF;
    IF v_overtaken THEN
        UPDATE effects SET status = 'failed', failure = 'withheld', fence = fence + 1, settled_at = agent_now(),
               error = jsonb_build_object('explanation', 'another owner has the conversation')
         WHERE key = v_action.effect_key AND status = 'confirmed';
        UPDATE actions SET status = 'cancelled' WHERE id = p_action;
    END IF;
    v_words := CASE WHEN v_overtaken THEN p_instead ELSE p_words END;
    PERFORM end_promise(p_conversation, v_action.turn_id, CASE WHEN NOT v_told THEN v_words END);
    INSERT INTO messages (conversation_id, direction, author, channel, id_scope, channel_message_id, kind, text,
                          owner_version, delivery)
    SELECT c.id, CASE WHEN v_told THEN 'out' ELSE 'event' END, 'assistant', c.channel, 'action', p_action::text,
           CASE WHEN v_told THEN 'text' ELSE 'note' END, v_words, c.owner_version,
           CASE WHEN v_told AND needs_delivery(c.channel, c.account) THEN 'due' END
      FROM conversations c WHERE c.id = p_conversation;
END $$;

-- end_promise: words of a turn that say that somebody has still to decide, and have not begun to leave. They end;
-- or, where the customer is not told now, *p_words* are kept in their place, planned anew: of what was done, or
-- refused. What of them has left stays.
CREATE OR REPLACE FUNCTION end_promise(p_conversation uuid, p_turn uuid, p_words text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_promise uuid;
BEGIN
    SELECT m.id INTO v_promise FROM messages m
     WHERE m.conversation_id = p_conversation AND m.turn_id = p_turn AND m.direction = 'out' AND m.author = 'assistant'
       AND m.delivery IN ('due', 'withheld') AND NOT EXISTS (
           SELECT 1 FROM effects e WHERE e.message_id = m.id AND e.status IN ('sending', 'confirmed', 'unknown'));
    IF p_words IS NULL THEN
        UPDATE effects SET status = 'failed', failure = 'superseded', settled_at = agent_now()
         WHERE message_id = v_promise AND (status = 'planned' OR failure IS NULL);
        UPDATE messages SET delivery = 'done' WHERE id = v_promise;
    ELSIF is_done(p_turn) THEN
        DELETE FROM effects WHERE message_id = v_promise;
        UPDATE messages SET text = p_words, meta = '{}', sources = '[]' WHERE id = v_promise;
    END IF;
END $$;

-- lock_planning: no part of a reply in this conversation is planned meanwhile (storage/outbox.py takes the same lock):
-- one that is planned after the parts were locked would be locked out of order, or leave after its words have ended.
CREATE OR REPLACE FUNCTION lock_planning(p_conversation uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_customer uuid;
BEGIN
    LOOP
        SELECT customer_id INTO v_customer FROM conversations WHERE id = p_conversation;
        PERFORM 1 FROM customers WHERE id = v_customer FOR NO KEY UPDATE;
        EXIT WHEN (SELECT customer_id FROM conversations WHERE id = p_conversation) IS NOT DISTINCT FROM v_customer;
    END LOOP;  -- merged while we waited for them
END $$;

-- lock_promise: nobody plans or begins what the bot said in this turn meanwhile.
CREATE OR REPLACE FUNCTION lock_promise(p_turn uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM lock_planning((SELECT m.conversation_id FROM messages m WHERE m.turn_id = p_turn AND m.direction = 'out' LIMIT 1));
    PERFORM 1 FROM effects e WHERE e.message_id IN (
            SELECT m.id FROM messages m WHERE m.turn_id = p_turn AND m.direction = 'out')
      ORDER BY e.id FOR UPDATE;
END $$;

-- expire_question: a question, or an approval, whose time is over ends, once, and is told: to staff by a note, and to
-- the customer where the bot tells them (under the owners *p_told_under*). Words of before, that it is open, end with it
-- where they have not begun to leave; where a person has the conversation, *p_words* are kept in their place
-- (`end_promise`). Returns whether words wait to be sent over a channel.
CREATE OR REPLACE FUNCTION expire_question(
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
