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
