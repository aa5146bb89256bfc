-- bring_questions: of a reply that moved here by a merge and was withheld here, what it answered comes after it: behind
-- all other messages, to be held or answered like them. Not where something was done for it (its words are told), nor
-- what a person has written to the customer after.
CREATE OR REPLACE FUNCTION bring_questions(p_conversation uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    WITH unanswered AS MATERIALIZED (
        SELECT t.conversation_id, t.first_seq, t.last_seq
          FROM kept_words(p_conversation) k JOIN turns t ON t.id = k.turn_id
         WHERE t.conversation_id <> p_conversation AND t.status IN ('answered', 'apologised')
           AND k.delivery = 'withheld' AND NOT is_done(t.id)
    ), took AS MATERIALIZED (
        SELECT m.* FROM unanswered u JOIN messages m ON m.conversation_id = u.conversation_id
           AND m.seq BETWEEN u.first_seq AND u.last_seq
    ), asked AS (
        SELECT id FROM took
        UNION  -- what a message of kind `held` names
        SELECT m.id FROM took k CROSS JOIN LATERAL jsonb_array_elements_text(k.meta -> 'held') AS named(seq)
          JOIN messages m ON m.conversation_id = k.conversation_id AND m.seq = named.seq::bigint
    ), wanted AS MATERIALIZED (
        SELECT m.id, row_number() OVER (ORDER BY m.stored_at, m.seq) AS place FROM asked JOIN messages m USING (id)
         WHERE m.kind NOT IN ('held', 'deleted') AND m.stored_at > persons_word(p_conversation)
    ), moved AS (
        UPDATE messages m SET conversation_id = p_conversation, seq = c.newest_seq + wanted.place
          FROM wanted, conversations c WHERE m.id = wanted.id AND c.id = p_conversation RETURNING m.id, m.seq
    ), files AS (
        UPDATE media f SET conversation_id = p_conversation FROM moved WHERE f.message_id = moved.id
    )
    UPDATE conversations c SET newest_seq = (SELECT max(seq) FROM moved)
     WHERE c.id = p_conversation AND EXISTS (SELECT 1 FROM moved);
END $$;
--
-- answer_held: what nobody has answered, in a conversation that the bot has. Kept words of what was done leave under
-- the owner's version of now; the rest is asked about by a message of kind `held`, unless the assistant's setting leaves
-- it to people, or it waits for a ticket. Nobody wrote that message: the conversation's `last_message_at` stays. Called
-- for every conversation that is given to the bot (a trigger), and wherever something comes to be unanswered while it has
-- it, or a reason to hold ends; it may be repeated.
CREATE OR REPLACE FUNCTION answer_held(p_conversation uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_conversation conversations%ROWTYPE;
    v_held bigint[];
    v_wrote_at timestamptz;
    v_seq bigint;
BEGIN
    SELECT * INTO v_conversation FROM conversations WHERE id = p_conversation FOR NO KEY UPDATE;
    IF v_conversation.merged_into IS NOT NULL THEN RETURN; END IF;
    PERFORM bring_questions(p_conversation);
    IF v_conversation.owner <> 'bot' THEN RETURN; END IF;
    WITH told AS (
        UPDATE messages m SET owner_version = v_conversation.owner_version,
               delivery = CASE WHEN v_conversation.channel IN ('whatsapp') AND v_conversation.account <> '' THEN 'due' END,
               stored_at = agent_now() - place * interval '1 microsecond'  -- before what is said with this change
          FROM (SELECT w.id, row_number() OVER (ORDER BY w.stored_at DESC, w.id DESC) AS place
                  FROM words_to_tell(p_conversation) w) AS wanted
         WHERE m.id = wanted.id RETURNING m.turn_id
    )
    UPDATE turns t SET status = 'answered' FROM told WHERE t.id = told.turn_id AND t.status = 'withheld';
    IF NOT answers_held(v_conversation.assistant) OR waits_for_ticket(p_conversation) THEN RETURN; END IF;
    SELECT array_agg(h.seq ORDER BY h.seq), max(coalesce(h.sent_at, h.stored_at)) INTO v_held, v_wrote_at
      FROM messages_to_ask_about(p_conversation) h;
    IF v_held IS NULL THEN RETURN; END IF;
    UPDATE conversations SET newest_seq = newest_seq + 1 WHERE id = p_conversation
    RETURNING newest_seq INTO v_seq;
    INSERT INTO messages (conversation_id, seq, direction, author, channel, id_scope, kind, text, meta, sent_at)
    VALUES (p_conversation, v_seq, 'in', 'customer', v_conversation.channel, '', 'held', '',
            jsonb_build_object('held', v_held), v_wrote_at);
END $$;
