-- give_up_message: what is left of a message is not sent, and staff read *p_note*, if there is one. Only of a message that
-- is due, under the owner's version that the sender read: one that was withheld meanwhile, or is due anew, is another's
-- to end. Returns whether it ended.
CREATE FUNCTION give_up_message(
    p_message uuid, p_owner_version bigint, p_failure text, p_error jsonb, p_note_id uuid, p_note text
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_message messages%ROWTYPE;
BEGIN
    PERFORM 1 FROM effects WHERE message_id = p_message ORDER BY id FOR UPDATE;
    PERFORM 1 FROM conversations WHERE id = (SELECT conversation_id FROM messages WHERE id = p_message) FOR NO KEY UPDATE;
    SELECT * INTO v_message FROM messages WHERE id = p_message FOR UPDATE;
    IF v_message.delivery IS DISTINCT FROM 'due' OR v_message.owner_version IS DISTINCT FROM p_owner_version THEN
        RETURN false;
    END IF;
    UPDATE effects SET status = CASE WHEN status = 'planned' THEN 'failed' ELSE status END,
           failure = coalesce(failure, p_failure), error = coalesce(error, p_error), settled_at = agent_now()
     WHERE message_id = p_message AND status IN ('planned', 'failed', 'unknown');
    INSERT INTO messages (id, conversation_id, direction, author, channel, id_scope, kind, text)
    SELECT p_note_id, v_message.conversation_id, 'event', 'assistant', v_message.channel, '', 'note', p_note
     WHERE p_note IS NOT NULL
        ON CONFLICT DO NOTHING;
    UPDATE messages SET delivery = 'done' WHERE id = p_message;
    RETURN true;
END $$;
--
-- record_statuses: what the channel says of parts of ours. A part is found by our own id, or else by the channel's; how
-- far it came only moves forward: a lower status changes nothing, FAILED replaces only what never arrived. One that
-- failed is due again, for the sender to decide what follows; returns its conversation. A message that was withheld
-- while nobody knew, and has arrived with it, is done. All parts are locked beforehand,
-- and the conversations of those that failed, in the order in which all take them.
CREATE OR REPLACE FUNCTION record_statuses(p_channel text, p_statuses jsonb)
RETURNS TABLE (conversation_id uuid, workflow_id text, channel text, assistant text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_status jsonb;
    v_rank constant jsonb := '{"queued": 0, "sent": 1, "delivered": 2, "read": 3}';
    v_part effects%ROWTYPE;
    v_new text;
BEGIN
    PERFORM 1 FROM effects e
     WHERE e.kind = 'part' AND e.id IN (SELECT p.id FROM reported_parts(p_statuses) p) ORDER BY e.id FOR UPDATE;
    PERFORM 1 FROM conversations c WHERE c.id IN (
            SELECT p.conversation_id FROM reported_parts(jsonb_path_query_array(p_statuses, '$[*] ? (@.status == "failed")')) p)
      ORDER BY c.id FOR NO KEY UPDATE;
    FOR v_status IN SELECT value FROM jsonb_array_elements(p_statuses) ORDER BY value ->> 'channel_message_id' LOOP
        v_new := v_status ->> 'status';
        SELECT e.* INTO v_part FROM effects e JOIN conversations c ON c.id = e.conversation_id
         WHERE e.kind = 'part' AND c.channel = p_channel
           AND (e.id = (v_status ->> 'delivery_id')::uuid OR e.external_id = v_status ->> 'channel_message_id')
         ORDER BY e.id IS NOT DISTINCT FROM (v_status ->> 'delivery_id')::uuid DESC LIMIT 1 FOR UPDATE OF e;
        CONTINUE WHEN NOT FOUND OR v_part.status = 'failed' OR v_part.reached = 'deleted';
        CONTINUE WHEN v_part.attempts = 0;  -- never sent, so it cannot be meant
        IF v_new = 'failed' THEN
            -- A failure of an earlier attempt says nothing of the one that followed it.
            CONTINUE WHEN (v_status ->> 'fence')::bigint <> v_part.fence OR v_part.reached IN ('delivered', 'read');
            UPDATE effects SET status = 'failed', reached = NULL, failure = NULL, error = v_status -> 'error',
                   external_id = coalesce(external_id, v_status ->> 'channel_message_id'), settled_at = agent_now()
             WHERE id = v_part.id;
            UPDATE messages SET delivery = 'due' WHERE id = v_part.message_id AND NOT EXISTS (  -- its words are erased
                SELECT 1 FROM conversations c JOIN customers k ON k.id = c.customer_id
                 WHERE c.id = v_part.conversation_id AND k.erased_at IS NOT NULL);
            RETURN QUERY SELECT c.id, c.workflow_id, c.channel, c.assistant
                           FROM conversations c WHERE c.id = v_part.conversation_id;
        ELSIF v_new = 'deleted' OR v_part.status IN ('sending', 'unknown') OR v_part.status = 'planned' AND
              v_new <> 'queued' OR (v_rank ->> v_new)::int > (v_rank ->> v_part.reached)::int THEN
            UPDATE effects SET status = 'confirmed', reached = v_new, failure = NULL,
                   external_id = coalesce(external_id, v_status ->> 'channel_message_id'),
                   settled_at = CASE WHEN v_part.status = 'confirmed' THEN settled_at ELSE agent_now() END
             WHERE id = v_part.id;
            UPDATE messages SET delivery = 'done' WHERE id = v_part.message_id AND delivery = 'withheld' AND has_arrived(id);
        END IF;
    END LOOP;
END $$;
--
-- reported_parts: those that statuses of a channel may mean.
CREATE FUNCTION reported_parts(p_statuses jsonb) RETURNS SETOF effects LANGUAGE sql STABLE AS $$
    SELECT e.* FROM effects e WHERE e.kind = 'part' AND e.id = ANY(ARRAY(
           SELECT (s ->> 'delivery_id')::uuid FROM jsonb_array_elements(p_statuses) s))
    UNION ALL
    SELECT e.* FROM effects e WHERE e.kind = 'part' AND e.external_id = ANY(ARRAY(
           SELECT s ->> 'channel_message_id' FROM jsonb_array_elements(p_statuses) s))
$$
--
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
--
-- end_promise: words of a turn that say that somebody has still to decide, and have not begun to leave. They end; or,
-- where the customer is not told now, *p_words* are kept in their place, planned anew: of what was done, or refused. What
-- of them has left stays.
CREATE FUNCTION end_promise(p_conversation uuid, p_turn uuid, p_words text) RETURNS void LANGUAGE plpgsql AS $$
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
END $$
