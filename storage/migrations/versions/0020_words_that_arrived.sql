-- is_done: something was, or may be, done for the turn that outlasts it: asked again, it could be done twice. So is what
-- staff have still to decide, and what they decided that came to nothing: the turn is settled by the words that say so.
CREATE OR REPLACE FUNCTION is_done(p_turn uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT 1 FROM actions a LEFT JOIN effects e ON e.key = a.effect_key
         WHERE a.turn_id = p_turn
           AND (a.stands AND (e.status IN ('planned', 'sending', 'confirmed', 'unknown')
                              OR a.status = 'awaiting_confirmation' AND a.confirmation_by = 'staff')
                OR a.confirmation_by = 'staff' AND a.decided_by IS NOT NULL
                   AND (e.key IS NULL OR e.status = 'failed' AND e.failure <> 'withheld')))
$$;
--
-- has_arrived: the channel has taken all parts of the message, whatever was known of them before.
CREATE FUNCTION has_arrived(p_message uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce(bool_and(e.status = 'confirmed'), false) FROM effects e WHERE e.message_id = p_message
$$;
--
-- kept_words: what the bot has said to the customer and what did not leave, for a person took the conversation before:
-- withheld, or about to be. What may have left in part (an outcome that nobody knows) was passed on to staff by a note.
-- What arrived after all, by a status that came late, is told.
CREATE OR REPLACE FUNCTION kept_words(p_conversation uuid) RETURNS SETOF messages LANGUAGE sql STABLE AS $$
    SELECT r.* FROM messages r JOIN conversations c ON c.id = r.conversation_id
     WHERE r.conversation_id = p_conversation AND r.direction = 'out' AND r.author = 'assistant'
       AND (r.delivery = 'withheld' OR r.delivery = 'due' AND r.owner_version < c.taken_version AND NOT EXISTS (
            SELECT 1 FROM effects e WHERE e.message_id = r.id AND e.status IN ('sending', 'confirmed')))
       AND NOT EXISTS (SELECT 1 FROM effects e WHERE e.message_id = r.id AND e.status = 'unknown')
       AND NOT has_arrived(r.id)
$$;
--
-- words_to_tell: kept words of what was done, or decided by staff, and still stands (a handoff that was released does
-- not), newer than a person's last (of those said since a merge brought them here): they are told once. So is a template,
-- which stands for a reply that its turn is done with.
CREATE OR REPLACE FUNCTION words_to_tell(p_conversation uuid) RETURNS SETOF messages LANGUAGE sql STABLE AS $$
    SELECT r.* FROM kept_words(p_conversation) r
     WHERE greatest(r.stored_at, r.moved_at) > persons_word(p_conversation)
       AND (r.meta ? 'template' OR r.turn_id IS NOT NULL AND is_done(r.turn_id) OR r.id_scope = 'action' AND EXISTS (
            SELECT 1 FROM actions a WHERE a.id::text = r.channel_message_id AND (a.stands OR NOT EXISTS (
                SELECT 1 FROM effects e WHERE e.key = a.effect_key AND e.status = 'confirmed'))))
$$;
--
-- bring_questions: of a reply that moved here by a merge and was withheld here, what it answered comes after it: behind
-- all other messages, to be held or answered like them. Not where something was done for it (its words are told), nor
-- what a person has answered: where it stood, or here, since the reply came.
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
    UPDATE conversations c SET newest_seq = (SELECT max(seq) FROM moved)
     WHERE c.id = p_conversation AND EXISTS (SELECT 1 FROM moved);
END $$;
