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
