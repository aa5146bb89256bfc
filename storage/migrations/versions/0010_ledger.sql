UPDATE effects SET kind = 'action:' || kind, request = jsonb_build_object('metadata', request);
--
UPDATE effects e SET owner_version = t.owner_version FROM actions a JOIN turns t ON t.id = a.turn_id
 WHERE a.effect_key = e.key AND coalesce(a.decided_by, 'customer') = 'customer';
--
UPDATE actions SET status = 'accepted' WHERE status IN ('planned', 'confirmed', 'failed', 'unknown');
--
-- The triggers that blank what comes after an erasure name the columns of before.
DROP TRIGGER actions_blank_if_erased ON actions;
--
CREATE TRIGGER actions_blank_if_erased BEFORE INSERT ON actions FOR EACH ROW EXECUTE FUNCTION
    blank_if_erased('{"reason": "", "metadata": {}, "digest": "", "request_hash": ""}');
--
INSERT INTO effects (id, key, kind, conversation_id, turn_id, message_id, owner_version, status, request, recovery,
                     fence, attempts, unknown_attempts, planned_at, claimed_at, settled_at, external_id, reached,
                     failure, error)
SELECT d.id, d.message_id || '/' || d.part, 'part', d.conversation_id, t.id, d.message_id, m.owner_version,
       CASE WHEN d.status IN ('planned', 'sending', 'failed', 'unknown') THEN d.status
            WHEN d.status = 'withheld' THEN 'failed' ELSE 'confirmed' END,
       jsonb_build_object('part', d.part, 'kind', d.kind, 'text', d.text, 'choices', d.choices), 'report', d.fence,
       d.attempt, d.unknown_sends, d.created_at, d.sending_at,
       CASE WHEN d.status NOT IN ('planned', 'sending') THEN coalesce(d.accepted_at, d.updated_at) END,
       d.channel_message_id,
       CASE WHEN d.status NOT IN ('planned', 'sending', 'failed', 'unknown', 'withheld') THEN d.status END,
       CASE WHEN d.status = 'withheld' THEN d.status ELSE d.failure END, d.error
  FROM deliveries d JOIN messages m ON m.id = d.message_id LEFT JOIN turns t ON t.id = m.turn_id;
--
DROP TABLE deliveries;
--
-- deliveries: the parts of replies, each with how far it has come in the words that people see.
CREATE VIEW deliveries AS
SELECT id, message_id, conversation_id, split_part(key, '/', 2)::int AS part, request ->> 'kind' AS kind,
       coalesce(request ->> 'text', '') AS text, coalesce(request -> 'choices', '[]') AS choices,
       CASE WHEN failure = 'withheld' THEN failure WHEN status = 'planned' THEN 'due'
            WHEN status = 'confirmed' THEN reached ELSE status END AS status,
       external_id AS channel_message_id, attempts AS attempt, unknown_attempts, fence, failure, error,
       planned_at AS created_at, claimed_at AS sending_at, settled_at
  FROM effects WHERE kind = 'part';
--
-- A part that is on its way when its customer is erased comes back with the channel's id, which tells the number.
CREATE TRIGGER parts_blank_if_erased BEFORE INSERT OR UPDATE ON effects FOR EACH ROW WHEN (NEW.kind = 'part')
    EXECUTE FUNCTION blank_if_erased('{"external_id": null, "error": null, "request": {}}');
--
-- finish_message: the message is delivered, or withheld where its last part was, unless one of its parts is still to be sent or to be decided about. It is
-- locked first and looked at after: a status that fails a part either is seen here, or makes the message due again.
CREATE FUNCTION finish_message(p_message uuid) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM messages WHERE id = p_message FOR UPDATE;
    UPDATE messages SET delivery = CASE WHEN EXISTS (
        SELECT 1 FROM effects e WHERE e.message_id = p_message AND e.failure = 'withheld') THEN 'withheld' ELSE 'done' END
     WHERE id = p_message AND NOT EXISTS (
        SELECT 1 FROM effects e WHERE e.message_id = p_message
           AND (e.status IN ('planned', 'sending', 'unknown') OR e.status = 'failed' AND e.failure IS NULL));
    RETURN FOUND;
END $$;
--
-- record_statuses: what the channel says of parts of ours. A part is found by our own id, or else by the channel's; how
-- far it came only moves forward: a lower status changes nothing, FAILED replaces only what never arrived. One that
-- failed is due again, for the sender to decide what follows; returns its conversation.
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
        END IF;
    END LOOP;
END $$;
