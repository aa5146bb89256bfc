-- What nobody has answered or been told of, when the bot has the conversation again.

-- is_done: something was, or may be, done for the turn that outlasts it: asked again, it could be done twice. So is
-- what staff have still to decide, and what they decided that came to nothing, or let pass: the turn is settled by the
-- words that say so.
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

-- has_arrived: the channel has taken all parts of the message, whatever was known of them before.
CREATE OR REPLACE FUNCTION has_arrived(p_message uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce(bool_and(e.status = 'confirmed'), false) FROM effects e WHERE e.message_id = p_message
$$;

-- kept_words: what the bot has said to the customer and what did not leave, for a person took the conversation before:
-- withheld, or about to be. What may have left in part (an outcome that nobody knows) was passed on to staff by a note.
-- What arrived after all, by a status that came late, is told; words that are settled are nobody's to tell.
CREATE OR REPLACE FUNCTION kept_words(p_conversation uuid) RETURNS SETOF messages LANGUAGE sql STABLE AS $$
    SELECT r.* FROM messages r JOIN conversations c ON c.id = r.conversation_id
     WHERE r.conversation_id = p_conversation AND r.direction = 'out' AND r.author = 'assistant'
       AND (r.delivery = 'withheld' OR r.delivery = 'due' AND r.owner_version < c.taken_version AND NOT EXISTS (
            SELECT 1 FROM effects e WHERE e.message_id = r.id AND e.status IN ('sending', 'confirmed')))
       AND NOT EXISTS (SELECT 1 FROM effects e WHERE e.message_id = r.id AND e.status = 'unknown')
       AND NOT has_arrived(r.id) AND NOT is_settled(r)
$$;

-- persons_word: when staff last wrote to the customer. What came at the very moment they had not read.
CREATE OR REPLACE FUNCTION persons_word(p_conversation uuid) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT coalesce(max(w.stored_at), '-infinity') FROM messages w
     WHERE w.conversation_id = p_conversation AND w.direction = 'out' AND w.author = 'agent'
$$;

-- tells_of: the action of which the words say what came of it, where that is still owed, or what was done beside it.
CREATE OR REPLACE FUNCTION tells_of(p_words messages) RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT a.id FROM actions a
     WHERE a.id = CASE p_words.id_scope WHEN 'action' THEN p_words.channel_message_id::uuid END
       AND (is_owed(a) OR p_words.meta ? 'beside')
$$;

-- unanswered_turns: those that came to nothing the customer saw: held (but for what was merged or erased),
-- withheld, or with a reply that did not leave. `reply_id`: the words that are kept: its own, or of what came of what
-- it asked for. `is_done`: as above, or such words are kept.
CREATE OR REPLACE FUNCTION unanswered_turns(p_conversation uuid)
RETURNS TABLE (turn_id uuid, first_seq bigint, last_seq bigint, reply_id uuid, is_done boolean)
LANGUAGE sql STABLE AS $$
    WITH kept AS MATERIALIZED (
        SELECT k.id, coalesce(k.turn_id, a.turn_id) AS turn_id, a.id IS NOT NULL AS tells_outcome
          FROM kept_words(p_conversation) k LEFT JOIN actions a ON a.id = tells_of(k)
         WHERE k.turn_id IS NOT NULL OR a.id IS NOT NULL
    ), unanswered AS (
        SELECT t.id, t.first_seq, t.last_seq FROM turns t
         WHERE t.conversation_id = p_conversation AND t.status IN ('held', 'withheld') AND t.failure IS NULL
        UNION
        SELECT t.id, t.first_seq, t.last_seq FROM kept JOIN turns t ON t.id = kept.turn_id
         WHERE t.conversation_id = p_conversation AND t.status IN ('answered', 'apologised')
    )
    SELECT u.id, u.first_seq, u.last_seq, (SELECT k.id FROM kept k WHERE k.turn_id = u.id LIMIT 1),
           is_done(u.id) OR EXISTS (SELECT 1 FROM kept k WHERE k.turn_id = u.id AND k.tells_outcome)
      FROM unanswered u
$$;

-- words_to_tell: kept words of what was done, or decided by staff, and still stands (a handoff that was released
-- does not), newer than a person's last (of those said since a merge brought them here): they are told once. So is a
-- template, which stands for a reply that its turn is done with. Of words that are over, those that come in their
-- place.
CREATE OR REPLACE FUNCTION words_to_tell(p_conversation uuid) RETURNS SETOF messages LANGUAGE sql STABLE AS $$
    SELECT r.* FROM kept_words(p_conversation) r
     WHERE greatest(r.stored_at, r.moved_at) >= persons_word(p_conversation)
       AND (r.meta ? 'template' OR tells_of(r) IS NOT NULL
            OR r.turn_id IS NOT NULL AND is_done(r.turn_id) AND (NOT is_over(r) OR words_instead(r) IS NOT NULL))
$$;

-- messages_to_ask_about: the held ones that nothing was done for, and that no turn is about to take up. What a turn
-- took up and did something for is told of with that turn's words.
CREATE OR REPLACE FUNCTION messages_to_ask_about(p_conversation uuid) RETURNS SETOF messages LANGUAGE sql STABLE AS $$
    WITH unanswered AS MATERIALIZED (
        SELECT * FROM unanswered_turns(p_conversation)
    ), taken_up AS MATERIALIZED (
        SELECT jsonb_array_elements_text(k.meta -> 'held')::bigint AS seq
          FROM messages k LEFT JOIN turns t ON t.conversation_id = k.conversation_id
           AND k.seq BETWEEN t.first_seq AND t.last_seq
         WHERE k.conversation_id = p_conversation AND k.kind = 'held'
           AND (t.finished_at IS NULL OR t.id IN (SELECT turn_id FROM unanswered WHERE is_done))
    )
    SELECT h.* FROM held_messages(p_conversation) h
     WHERE h.seq NOT IN (SELECT seq FROM taken_up) AND NOT EXISTS (
           SELECT 1 FROM unanswered u WHERE u.is_done AND h.seq BETWEEN u.first_seq AND u.last_seq)
$$;
