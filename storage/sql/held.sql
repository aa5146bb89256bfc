-- A message is held while a person has its conversation, while a ticket is open (`ticket_open: hold`), or until a
-- conversation that was closed after it is opened again. Once the reason is over it is answered, also where it ended
-- between a turn's claim and the commit that holds it.

-- held_messages: the customer's words that wait for somebody: of an unanswered turn, newer than staff's last word, not
-- taken back, and not answered since in a turn that took them up again (by a message of kind `held`, which names them).
CREATE OR REPLACE FUNCTION held_messages(p_conversation uuid) RETURNS SETOF messages LANGUAGE sql STABLE AS $$
    WITH unanswered AS MATERIALIZED (
        SELECT * FROM unanswered_turns(p_conversation)
    ), taken_up AS MATERIALIZED (
        SELECT jsonb_array_elements_text(k.meta -> 'held')::bigint AS seq
          FROM messages k JOIN turns t ON t.conversation_id = k.conversation_id AND t.finished_at IS NOT NULL
           AND k.seq BETWEEN t.first_seq AND t.last_seq
         WHERE k.conversation_id = p_conversation AND k.kind = 'held' AND t.id NOT IN (SELECT turn_id FROM unanswered)
    )
    SELECT m.* FROM unanswered u
      JOIN messages m ON m.conversation_id = p_conversation AND m.seq BETWEEN u.first_seq AND u.last_seq
     WHERE m.kind NOT IN ('held', 'deleted') AND m.seq NOT IN (SELECT seq FROM taken_up)
       AND persons_word(p_conversation) <= coalesce(
           (SELECT greatest(r.stored_at, r.moved_at) FROM messages r WHERE u.is_done AND r.id = u.reply_id),
           greatest(m.stored_at, m.moved_at))
$$;

-- waits_for_ticket: whether the assistant answers nothing in this conversation now, for a ticket is open.
CREATE OR REPLACE FUNCTION waits_for_ticket(p_conversation uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT 1 FROM tickets k WHERE k.conversation_id = c.id AND k.status NOT IN ('resolved', 'closed'))
       AND coalesce((SELECT k.body #>> '{actions,ticket_open}' = 'hold' FROM configurations k
                      WHERE k.assistant = c.assistant ORDER BY k.version DESC LIMIT 1), false)
      FROM conversations c WHERE c.id = p_conversation
$$;

-- is_acted_on: something was done for the message, in its own turn or in one that took it up: held or not, it is not
-- asked about any more.
CREATE OR REPLACE FUNCTION is_acted_on(p_conversation uuid, p_seq bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT 1 FROM unanswered_turns(p_conversation) u JOIN messages k ON k.conversation_id = p_conversation
           AND k.seq BETWEEN u.first_seq AND u.last_seq
         WHERE u.is_done AND (k.seq = p_seq OR k.kind = 'held' AND k.meta -> 'held' @> to_jsonb(p_seq)))
$$;

-- answer_held: what nobody has answered, in a conversation that the bot has. Kept words of what was done leave under
-- the owner's version of now; the rest is asked about by a message of kind `held`, unless the assistant's setting
-- leaves it to people, or it waits for a ticket. Called for every conversation that is given to the bot (a trigger),
-- and wherever something comes to be unanswered while it has it, or a reason to hold ends; it may be repeated.
CREATE OR REPLACE FUNCTION answer_held(p_conversation uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_conversation conversations%ROWTYPE;
    v_held bigint[];
    v_wrote_at timestamptz;
    v_seq bigint;
BEGIN
    SELECT * INTO v_conversation FROM conversations WHERE id = p_conversation FOR NO KEY UPDATE;
    IF v_conversation.merged_into IS NOT NULL THEN RETURN; END IF;
    PERFORM move_messages_of_withheld_replies(p_conversation);
    IF v_conversation.owner <> 'bot' THEN RETURN; END IF;
    PERFORM say_instead(w, 'withheld') FROM words_to_tell(p_conversation) w WHERE is_over(w);
    WITH told AS (
        UPDATE messages m SET owner_version = v_conversation.owner_version,
               delivery = CASE WHEN needs_delivery(v_conversation.channel, v_conversation.account) THEN 'due' END,
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

-- answers_held: whether the assistant answers what was held, or leaves it to people.
CREATE OR REPLACE FUNCTION answers_held(p_assistant text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT (k.body #>> '{handoff,answer_waiting_after_release}')::boolean FROM configurations k
                      WHERE k.assistant = p_assistant ORDER BY k.version DESC LIMIT 1), true)
$$;

CREATE OR REPLACE FUNCTION answer_what_was_held() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM answer_held(NEW.id);
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION answer_what_a_turn_held() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM answer_held(NEW.conversation_id);
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION answer_what_tickets_held() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_conversation uuid;
BEGIN
    IF (SELECT before.body #>> '{actions,ticket_open}' FROM configurations before WHERE before.assistant = NEW.assistant
           AND before.version < NEW.version ORDER BY before.version DESC LIMIT 1) IS DISTINCT FROM 'hold' THEN
        RETURN NULL;
    END IF;
    FOR v_conversation IN
        SELECT c.id FROM conversations c WHERE c.assistant = NEW.assistant AND c.owner = 'bot'
           AND EXISTS (SELECT 1 FROM tickets k WHERE k.conversation_id = c.id
                          AND k.status NOT IN ('resolved', 'closed'))
         ORDER BY c.id
    LOOP
        PERFORM answer_held(v_conversation);
    END LOOP;
    RETURN NULL;
END $$;
