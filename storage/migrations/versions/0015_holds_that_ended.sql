-- A message is held while a person has its conversation, while a ticket is open (`ticket_open: hold`), or until a
-- conversation that was closed after it is opened again. Once the reason is over it is answered, also where it ended
-- between a turn's claim and the commit that holds it.

-- needs_delivery: whether replies go out by ourselves, as schemas.channels.needs_delivery: the one place in SQL that names
-- channels.
CREATE FUNCTION needs_delivery(p_channel text, p_account text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT p_channel = 'whatsapp' AND p_account <> ''
$$;
--
-- waits_for_ticket: whether the assistant answers nothing in this conversation now, for a ticket is open.
CREATE FUNCTION waits_for_ticket(p_conversation uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT 1 FROM tickets k WHERE k.conversation_id = c.id AND k.status NOT IN ('resolved', 'closed'))
       AND coalesce((SELECT k.body #>> '{actions,ticket_open}' = 'hold' FROM configurations k
                      WHERE k.assistant = c.assistant ORDER BY k.version DESC LIMIT 1), false)
      FROM conversations c WHERE c.id = p_conversation
$$;
--
-- What a merge moves stood elsewhere before: what staff had said here until then was no answer to it.
CREATE FUNCTION note_the_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.moved_at := agent_now();
    RETURN NEW;
END $$;
--
CREATE TRIGGER messages_note_the_move BEFORE UPDATE OF conversation_id ON messages FOR EACH ROW
    WHEN (NEW.conversation_id <> OLD.conversation_id) EXECUTE FUNCTION note_the_move();
--
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
       AND persons_word(p_conversation) < coalesce(
           CASE WHEN u.is_done THEN (SELECT greatest(r.stored_at, r.moved_at) FROM messages r WHERE r.id = u.reply_id) END,
           greatest(m.stored_at, m.moved_at))
$$;
--
-- bring_questions: of a reply that moved here by a merge and was withheld here, what it answered comes after it: behind
-- all other messages, to be held or answered like them. Not where something was done for it (its words are told), nor
-- what a person has answered: where it stood, or here, since the reply came.
CREATE FUNCTION bring_questions(p_conversation uuid) RETURNS void LANGUAGE plpgsql AS $$
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
--
-- answer_held: what nobody has answered, in a conversation that the bot has. Kept words of what was done leave under
-- the owner's version of now; the rest is asked about by a message of kind `held`, unless the assistant's setting leaves
-- it to people, or it waits for a ticket. Called for every conversation that is given to the bot (a trigger), and
-- wherever something comes to be unanswered while it has it, or a reason to hold ends; it may be repeated.
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
--
CREATE FUNCTION answer_what_a_turn_held() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM answer_held(NEW.conversation_id);
    RETURN NULL;
END $$;
--
-- Under the bot a turn is held for a ticket, which may have been resolved since it was claimed, or for a setting that
-- has changed.
CREATE TRIGGER turns_answer_held AFTER UPDATE OF status ON turns FOR EACH ROW
    WHEN (NEW.status = 'held' AND OLD.status <> 'held' AND NEW.failure IS NULL)
    EXECUTE FUNCTION answer_what_a_turn_held();
--
CREATE FUNCTION answer_what_tickets_held() RETURNS trigger LANGUAGE plpgsql AS $$
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
--
-- An assistant that held what came while a ticket is open, and holds it no more: each such conversation is locked, so a
-- turn that is being held is looked at either here or by its own commit.
CREATE TRIGGER configurations_answer_held AFTER INSERT ON configurations FOR EACH ROW
    WHEN (NEW.body #>> '{actions,ticket_open}' IS DISTINCT FROM 'hold')
    EXECUTE FUNCTION answer_what_tickets_held();
--
-- change_owner: a conversation's owner changes at once, under the next version: what a turn begun before it brings is
-- not sent. *p_rules* is the gates' row of *p_event*: for each owner what follows, `to`: the next owner, `drops`: whose
-- questions end (customer, staff), `anew`: a new version in any case, `note`: a transition in any case, `answers`: what
-- was held is answered where the bot has it in any case; an owner without a rule stays. An open handoff is released, or
-- one is opened, as the owner says. With *p_new_thread* the thread in use ends. With *p_version* nothing changes but
-- under that version of the owner: who decided saw no newer one.
-- Returns the conversation's owner as it is then, whether anything changed, and the number of the newest message
-- where the change leaves something to be answered or sent.
CREATE OR REPLACE FUNCTION change_owner(
    p_conversation uuid, p_event text, p_rules jsonb, p_who text, p_reason text, p_turn uuid DEFAULT NULL,
    p_new_thread boolean DEFAULT false, p_version bigint DEFAULT NULL
) RETURNS TABLE (changed boolean, owner text, version bigint, waiting_seq bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_before conversations%ROWTYPE;
    v_rule jsonb;
    v_to text;
    v_version bigint;
    v_dropped bigint;
BEGIN
    SELECT * INTO v_before FROM conversations WHERE id = p_conversation FOR NO KEY UPDATE;
    IF NOT FOUND THEN RETURN; END IF;
    IF p_version <> v_before.owner_version THEN
        RETURN QUERY SELECT false, v_before.owner, v_before.owner_version, NULL::bigint;
        RETURN;
    END IF;
    v_rule := coalesce(p_rules -> v_before.owner, '{}');
    v_to := coalesce(v_rule ->> 'to', v_before.owner);
    v_version := v_before.owner_version
                 + (v_to <> v_before.owner OR coalesce((v_rule ->> 'anew')::boolean, false))::int;
    WITH dropped AS (
        UPDATE actions SET status = 'cancelled', settled_at = agent_now()
         WHERE conversation_id = p_conversation AND status = 'awaiting_confirmation'
           AND v_rule -> 'drops' ? confirmation_by RETURNING id
    )
    INSERT INTO transitions (conversation_id, version, from_owner, to_owner, why, who, turn_id)
    SELECT p_conversation, v_version, v_to, v_to, 'cancelled', p_who, p_turn FROM dropped;
    GET DIAGNOSTICS v_dropped = ROW_COUNT;
    IF v_version <> v_before.owner_version OR coalesce((v_rule ->> 'note')::boolean, false) THEN
        INSERT INTO transitions (conversation_id, version, from_owner, to_owner, why, who, turn_id)
        VALUES (p_conversation, v_version, v_before.owner, v_to, p_event, p_who, p_turn);
    END IF;
    IF v_version <> v_before.owner_version THEN
        UPDATE conversations SET owner = v_to, owner_version = v_version,
               taken_version = CASE WHEN v_to = 'human' THEN v_version ELSE taken_version END,
               stopped_seq = CASE WHEN (v_rule ->> 'anew')::boolean THEN NULL ELSE stopped_seq END,
               closed_seq = CASE WHEN v_to = 'closed' THEN newest_seq ELSE closed_seq END
         WHERE id = p_conversation;
    END IF;
    IF v_to = 'human' AND v_before.owner <> 'human' THEN
        INSERT INTO handoffs (conversation_id, team, reason, opened_by)
        VALUES (p_conversation, 'support', p_reason, p_who) ON CONFLICT DO NOTHING;
    ELSIF v_to <> 'human' THEN
        UPDATE handoffs SET released_at = agent_now(), released_by = p_who
         WHERE conversation_id = p_conversation AND released_at IS NULL;
    END IF;
    IF p_new_thread THEN
        UPDATE threads SET ended_at = agent_now(), end_reason = p_event
         WHERE conversation_id = p_conversation AND ended_at IS NULL;
    END IF;
    IF (v_rule ->> 'answers')::boolean THEN
        PERFORM answer_held(p_conversation);
    END IF;
    RETURN QUERY
    SELECT v_version <> v_before.owner_version OR v_dropped > 0, v_to, v_version,
           CASE WHEN c.newest_seq > v_before.newest_seq  -- or this is repeated, and nobody was woken
                  OR EXISTS (SELECT 1 FROM messages k WHERE k.conversation_id = c.id AND k.kind = 'held'
                                AND k.seq > c.cursor)
                  OR (v_rule ->> 'anew')::boolean AND c.cursor < c.newest_seq
                  OR v_to = 'bot' AND EXISTS (SELECT 1 FROM messages m WHERE m.conversation_id = c.id AND m.delivery = 'due')
                THEN c.newest_seq END
      FROM conversations c WHERE c.id = p_conversation;
END $$;
--
-- is_acted_on: something was done for the message, in its own turn or in one that took it up: held or not, it is not
-- asked about any more.
CREATE FUNCTION is_acted_on(p_conversation uuid, p_seq bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT 1 FROM unanswered_turns(p_conversation) u JOIN messages k ON k.conversation_id = p_conversation
           AND k.seq BETWEEN u.first_seq AND u.last_seq
         WHERE u.is_done AND (k.seq = p_seq OR k.kind = 'held' AND k.meta -> 'held' @> to_jsonb(p_seq)))
$$;
--
-- revise_waiting: an edit or a deletion takes effect in place while its message waits, or is held. New words come too
-- late for a turn that has taken the message, and where something was done for it; a message that was taken back is not
-- asked about once more.
CREATE OR REPLACE FUNCTION revise_waiting(p_conversation conversations, p_id_scope text, p jsonb) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE messages m
       SET text = CASE WHEN p ->> 'kind' = 'edit' THEN p ->> 'text' ELSE '' END,
           kind = CASE WHEN p ->> 'kind' = 'edit' THEN m.kind ELSE 'deleted' END,
           meta = m.meta || jsonb_build_object('before', coalesce(m.meta ->> 'before', m.text))
     WHERE m.channel = p_conversation.channel AND m.id_scope = p_id_scope
       AND m.channel_message_id = p #>> '{meta,concerns}' AND m.conversation_id = p_conversation.id
       AND m.direction = 'in'
       AND (m.seq > p_conversation.cursor OR m.id IN (SELECT h.id FROM held_messages(p_conversation.id) h))
       AND (p ->> 'kind' = 'delete' OR NOT is_acted_on(m.conversation_id, m.seq) AND NOT EXISTS (
            SELECT 1 FROM turns t JOIN messages k ON k.conversation_id = t.conversation_id AND k.seq >= t.first_seq
             WHERE t.conversation_id = m.conversation_id AND t.finished_at IS NULL
               AND (k.id = m.id OR k.kind = 'held' AND k.meta -> 'held' @> to_jsonb(m.seq))));
    RETURN FOUND;
END $$;
--
-- begin_new_thread: what is asked from the owner's version of now on is asked in a new thread. A turn knows the version
-- under which its thread was chosen, so a question that is under way is asked again in another one. It is told nothing,
-- also not of what was said in conversations that were merged into this one.
CREATE OR REPLACE FUNCTION begin_new_thread(p_conversation uuid) RETURNS void LANGUAGE sql AS $$
    UPDATE conversations SET thread_version = owner_version, merges_told_at = agent_now() WHERE id = p_conversation
$$;
