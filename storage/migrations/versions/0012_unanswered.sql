-- What a customer sent and nobody has answered is owed to them. Whenever the bot has their conversation (again), it is
-- answered in a turn of its own; where something was done for it already, the words that tell of it leave after all, so
-- that nothing is done twice. A person's word ends what came before it.

-- is_done: something was, or may be, done for the turn that outlasts it: asked again, it could be done twice. So is what
-- staff have still to decide.
CREATE FUNCTION is_done(p_turn uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT 1 FROM actions a LEFT JOIN effects e ON e.key = a.effect_key
                    WHERE a.turn_id = p_turn AND a.stands
                      AND (e.status IN ('planned', 'sending', 'confirmed', 'unknown')
                           OR a.status = 'awaiting_confirmation' AND a.confirmation_by = 'staff'))
$$;
--
-- kept_words: what the bot has said to the customer and what did not leave, for a person took the conversation before:
-- withheld, or about to be. What may have left in part (an outcome that nobody knows) was passed on to staff by a note.
CREATE FUNCTION kept_words(p_conversation uuid) RETURNS SETOF messages LANGUAGE sql STABLE AS $$
    SELECT r.* FROM messages r JOIN conversations c ON c.id = r.conversation_id
     WHERE r.conversation_id = p_conversation AND r.direction = 'out' AND r.author = 'assistant'
       AND (r.delivery = 'withheld' OR r.delivery = 'due' AND r.owner_version < c.taken_version AND NOT EXISTS (
            SELECT 1 FROM effects e WHERE e.message_id = r.id AND e.status IN ('sending', 'confirmed')))
       AND NOT EXISTS (SELECT 1 FROM effects e WHERE e.message_id = r.id AND e.status = 'unknown')
$$;
--
-- persons_word: when staff last wrote to the customer.
CREATE FUNCTION persons_word(p_conversation uuid) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT coalesce(max(w.stored_at), '-infinity') FROM messages w
     WHERE w.conversation_id = p_conversation AND w.direction = 'out' AND w.author = 'agent'
$$;
--
-- unanswered_turns: those that came to nothing the customer saw: held (not for a limit, which they were told of),
-- withheld, or with a reply that did not leave. `reply_id`: the words that are kept. `is_done`, as above.
CREATE FUNCTION unanswered_turns(p_conversation uuid)
RETURNS TABLE (turn_id uuid, first_seq bigint, last_seq bigint, reply_id uuid, is_done boolean)
LANGUAGE sql STABLE AS $$
    WITH kept AS MATERIALIZED (
        SELECT id, turn_id FROM kept_words(p_conversation) WHERE turn_id IS NOT NULL
    ), unanswered AS (
        SELECT t.id, t.first_seq, t.last_seq FROM turns t
         WHERE t.conversation_id = p_conversation AND t.status IN ('held', 'withheld') AND t.failure IS NULL
        UNION
        SELECT t.id, t.first_seq, t.last_seq FROM kept JOIN turns t ON t.id = kept.turn_id
         WHERE t.conversation_id = p_conversation AND t.status IN ('answered', 'apologised')
    )
    SELECT u.id, u.first_seq, u.last_seq, (SELECT k.id FROM kept k WHERE k.turn_id = u.id LIMIT 1), is_done(u.id)
      FROM unanswered u
$$;
--
-- held_messages: the customer's words that wait for somebody: of an unanswered turn, newer than staff's last word, and
-- not answered since in a turn that took them up again (by a message of kind `held`, which names them).
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
     WHERE m.kind <> 'held' AND m.seq NOT IN (SELECT seq FROM taken_up)
       AND persons_word(p_conversation) < coalesce(
           CASE WHEN u.is_done THEN (SELECT r.stored_at FROM messages r WHERE r.id = u.reply_id) END, m.stored_at)
$$;
--
-- words_to_tell: kept words of what was done, or decided by staff, and still stands (a handoff that was released does
-- not), newer than a person's last: they are told once.
CREATE FUNCTION words_to_tell(p_conversation uuid) RETURNS SETOF messages LANGUAGE sql STABLE AS $$
    SELECT r.* FROM kept_words(p_conversation) r
     WHERE r.stored_at > persons_word(p_conversation)
       AND (r.turn_id IS NOT NULL AND is_done(r.turn_id) OR r.id_scope = 'action' AND EXISTS (
            SELECT 1 FROM actions a WHERE a.id::text = r.channel_message_id AND (a.stands OR NOT EXISTS (
                SELECT 1 FROM effects e WHERE e.key = a.effect_key AND e.status = 'confirmed'))))
$$;
--
-- messages_to_ask_about: the held ones that nothing was done for, and that no turn is about to take up. What a turn took
-- up and did something for is told of with that turn's words.
CREATE FUNCTION messages_to_ask_about(p_conversation uuid) RETURNS SETOF messages LANGUAGE sql STABLE AS $$
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
--
-- answers_held: whether the assistant answers what was held, or leaves it to people.
CREATE FUNCTION answers_held(p_assistant text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT (k.body #>> '{handoff,answer_waiting_after_release}')::boolean FROM configurations k
                      WHERE k.assistant = p_assistant ORDER BY k.version DESC LIMIT 1), true)
$$;
--
-- answer_held: what nobody has answered, in a conversation that the bot has. Kept words of what was done leave under the
-- owner's version of now; the rest is asked about by a message of kind `held`, unless the assistant's setting leaves it
-- to people. Called for every conversation that is given to the bot (the trigger below), and wherever something comes to
-- be unanswered while it has it; it may be repeated.
CREATE FUNCTION answer_held(p_conversation uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_conversation conversations%ROWTYPE;
    v_held bigint[];
    v_wrote_at timestamptz;
BEGIN
    SELECT * INTO v_conversation FROM conversations WHERE id = p_conversation FOR NO KEY UPDATE;
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
    IF NOT answers_held(v_conversation.assistant) THEN RETURN; END IF;
    SELECT array_agg(h.seq ORDER BY h.seq), max(coalesce(h.sent_at, h.stored_at)) INTO v_held, v_wrote_at
      FROM messages_to_ask_about(p_conversation) h;
    IF v_held IS NULL THEN RETURN; END IF;
    INSERT INTO messages (conversation_id, seq, direction, author, channel, id_scope, kind, text, meta, sent_at)
    VALUES (p_conversation, v_conversation.newest_seq + 1, 'in', 'customer', v_conversation.channel, '', 'held', '',
            jsonb_build_object('held', v_held), v_wrote_at);
    UPDATE conversations SET newest_seq = newest_seq + 1, last_message_at = agent_now() WHERE id = p_conversation;
END $$;
--
CREATE FUNCTION answer_what_was_held() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM answer_held(NEW.id);
    RETURN NULL;
END $$;
--
-- Whatever gives a conversation to the bot, be it a change from outside, a turn's commit or a merge.
CREATE TRIGGER conversations_answer_held AFTER UPDATE OF owner ON conversations FOR EACH ROW
    WHEN (NEW.owner = 'bot' AND OLD.owner <> 'bot') EXECUTE FUNCTION answer_what_was_held();
--
DROP FUNCTION change_owner(uuid, text, jsonb, text, text, uuid, boolean, boolean);
--
-- change_owner: a conversation's owner changes at once, under the next version: what a turn begun before it brings is
-- not sent. *p_rules* is the gates' row of *p_event*: for each owner what follows, `to`: the next owner, `drops`: whose
-- questions end (customer, staff), `anew`: a new version in any case, `note`: a transition in any case, `answers`: what
-- was held is answered where the bot has it in any case; an owner without a rule stays. An open handoff is released, or
-- one is opened, as the owner says. With *p_new_thread* the thread in use ends. With *p_version* nothing changes but
-- under that version of the owner: who decided saw no newer one.
-- Returns the conversation's owner as it is then, whether anything changed, and the number of the newest message
-- where the change leaves something to be answered or sent.
CREATE FUNCTION change_owner(
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
               stopped_seq = CASE WHEN (v_rule ->> 'anew')::boolean THEN NULL ELSE stopped_seq END
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
           CASE WHEN c.newest_seq > v_before.newest_seq
                  OR (v_rule ->> 'anew')::boolean AND c.cursor < c.newest_seq
                  OR v_to = 'bot' AND EXISTS (SELECT 1 FROM messages m WHERE m.conversation_id = c.id AND m.delivery = 'due')
                THEN c.newest_seq END
      FROM conversations c WHERE c.id = p_conversation;
END $$;
--
-- tell_decision: what came of an action that staff decided on is said once, and with it the owner changes where the
-- action does that (*p_event*, *p_rules*): only under the version that the decision was made under, else *p_instead* is
-- said and the action counts as not done. Under the owners *p_told_under* the bot tells the customer; else it is a note.
CREATE FUNCTION tell_decision(
    p_conversation uuid, p_action uuid, p_event text, p_rules jsonb, p_reason text, p_words text, p_instead text,
    p_told_under text[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_action actions%ROWTYPE;
    v_before conversations%ROWTYPE;
    v_version bigint;  -- the owner's, that the decision was made under
    v_told boolean;
    v_overtaken boolean := false;
BEGIN
    SELECT * INTO v_action FROM actions WHERE id = p_action;
    SELECT coalesce(v_action.decided_version, e.owner_version) INTO v_version FROM effects e
     WHERE e.key = v_action.effect_key FOR UPDATE;
    SELECT * INTO v_before FROM conversations WHERE id = p_conversation FOR NO KEY UPDATE;
    IF EXISTS (SELECT 1 FROM messages WHERE channel = v_before.channel AND id_scope = 'action'
                  AND channel_message_id = p_action::text) THEN
        RETURN;
    END IF;
    v_told := v_before.owner = ANY(p_told_under);
    IF p_event IS NOT NULL THEN
        v_overtaken := v_before.owner_version <> v_version;
        PERFORM change_owner(p_conversation, p_event, p_rules, v_action.decided_by, p_reason, p_version => v_version);
    END IF;
    IF v_overtaken THEN
        UPDATE effects SET status = 'failed', failure = 'withheld', fence = fence + 1, settled_at = agent_now(),
               error = jsonb_build_object('explanation', 'another owner has the conversation')
         WHERE key = v_action.effect_key AND status = 'confirmed';
        UPDATE actions SET status = 'cancelled' WHERE id = p_action;
    END IF;
    INSERT INTO messages (conversation_id, direction, author, channel, id_scope, channel_message_id, kind, text,
                          owner_version, delivery)
    SELECT c.id, CASE WHEN v_told THEN 'out' ELSE 'event' END, 'assistant', c.channel, 'action', p_action::text,
           CASE WHEN v_told THEN 'text' ELSE 'note' END, CASE WHEN v_overtaken THEN p_instead ELSE p_words END,
           c.owner_version,
           CASE WHEN v_told AND c.channel IN ('whatsapp') AND c.account <> '' THEN 'due' END
      FROM conversations c WHERE c.id = p_conversation;
END $$;
--
-- finish_message: the message is delivered, or withheld where its last part was, unless one of its parts is still to be
-- sent or to be decided about. It is locked first and looked at after: a status that fails a part either is seen here,
-- or makes the message due again.
CREATE OR REPLACE FUNCTION finish_message(p_message uuid) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_conversation uuid;
    v_delivery text;
BEGIN
    SELECT conversation_id INTO v_conversation FROM messages WHERE id = p_message;
    PERFORM 1 FROM conversations WHERE id = v_conversation FOR NO KEY UPDATE;
    PERFORM 1 FROM messages WHERE id = p_message FOR UPDATE;
    UPDATE messages SET delivery = CASE WHEN EXISTS (
        SELECT 1 FROM effects e WHERE e.message_id = p_message AND e.failure = 'withheld') THEN 'withheld' ELSE 'done' END
     WHERE id = p_message AND NOT EXISTS (
        SELECT 1 FROM effects e WHERE e.message_id = p_message
           AND (e.status IN ('planned', 'sending', 'unknown') OR e.status = 'failed' AND e.failure IS NULL))
    RETURNING delivery INTO v_delivery;
    IF v_delivery = 'withheld' THEN
        PERFORM answer_held(v_conversation);
    END IF;
    RETURN v_delivery IS NOT NULL;
END $$;
--
-- withhold_message: a person has taken the conversation since the bot said this: what has not left of it is kept, and
-- staff are told where a part may have left (*p_note*). Words that may leave after all (`answer_held`) stay due: then
-- false. Where the bot has the conversation again, what they answered is answered anew.
CREATE FUNCTION withhold_message(p_message uuid, p_note_id uuid, p_note text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_message messages%ROWTYPE;
    v_taken_version bigint;
BEGIN
    PERFORM 1 FROM effects WHERE message_id = p_message ORDER BY id FOR UPDATE;
    SELECT c.taken_version INTO v_taken_version FROM messages m JOIN conversations c ON c.id = m.conversation_id
     WHERE m.id = p_message FOR NO KEY UPDATE OF c;
    SELECT * INTO v_message FROM messages WHERE id = p_message FOR UPDATE;
    IF v_message.delivery IS DISTINCT FROM 'due' THEN RETURN true; END IF;
    IF v_message.owner_version >= v_taken_version THEN RETURN false; END IF;
    UPDATE effects SET status = 'failed', failure = 'withheld', settled_at = agent_now()
     WHERE message_id = p_message AND status = 'planned';
    INSERT INTO messages (id, conversation_id, direction, author, channel, id_scope, kind, text)
    SELECT p_note_id, v_message.conversation_id, 'event', 'assistant', v_message.channel, '', 'note', p_note
     WHERE EXISTS (SELECT 1 FROM effects e WHERE e.message_id = p_message AND e.status = 'unknown')
        ON CONFLICT DO NOTHING;
    UPDATE messages SET delivery = 'withheld' WHERE id = p_message;
    PERFORM answer_held(v_message.conversation_id);
    RETURN true;
END $$;
--
-- hand_over: moves what is open in a merged conversation to the one that goes on, which is returned with what it owes:
-- what nobody has answered too, to be answered there, and the kept words of what was done. Called by the merge, and
-- again by the merged one's last run for what came to it late; it may be repeated.
CREATE OR REPLACE FUNCTION hand_over(p_from uuid)
RETURNS TABLE (conversation_id uuid, workflow_id text, channel text, assistant text, seq bigint,
               files boolean, is_waiting boolean, needs_delivery boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_from conversations%ROWTYPE;
    v_into conversations%ROWTYPE;
    v_called boolean;     -- a person has the merged one
    v_human boolean;      -- a person has either
    v_under_way boolean;  -- a turn of the merged one ends where it began
    v_kept bigint;
    v_wanted bigint[];    -- held ones that are about to be taken up
    v_held bigint[];
    v_moved bigint[];
BEGIN
    PERFORM lock_effects(ARRAY[p_from]);
    PERFORM 1 FROM turns t WHERE t.conversation_id = p_from AND t.finished_at IS NULL ORDER BY t.id FOR UPDATE;
    PERFORM 1 FROM conversations c WHERE c.id = p_from OR c.id = (
            SELECT merged_into FROM conversations WHERE id = p_from) ORDER BY c.id FOR UPDATE;
    SELECT * INTO v_from FROM conversations c WHERE c.id = p_from;
    SELECT * INTO v_into FROM conversations c WHERE c.id = v_from.merged_into;
    IF NOT FOUND THEN RETURN; END IF;
    v_called := EXISTS (SELECT 1 FROM handoffs h WHERE h.conversation_id = p_from AND h.released_at IS NULL);
    v_human := v_called OR 'human' IN (v_from.owner, v_into.owner);

    PERFORM drop_questions_under_way(p_from);
    -- A turn with an effect ends where it began; its messages stay with it.
    SELECT count(*) > 0, coalesce(max(t.last_seq), v_from.cursor) INTO v_under_way, v_kept
      FROM turns t WHERE t.conversation_id = p_from AND t.finished_at IS NULL;
    IF v_human THEN  -- what the bot said and nobody has begun to send is withheld from now on
        WITH withheld AS (
            UPDATE messages m SET delivery = 'withheld'
             WHERE m.conversation_id = p_from AND m.delivery = 'due' AND m.owner_version IS NOT NULL AND NOT EXISTS (
                   SELECT 1 FROM effects e WHERE e.message_id = m.id AND e.status <> 'planned') RETURNING m.id
        )
        UPDATE effects e SET status = 'failed', failure = 'withheld', settled_at = agent_now()
          FROM withheld WHERE e.message_id = withheld.id;
    END IF;
    -- Held ones go to the person, or are answered like others, where that is theirs to be.
    v_wanted := ARRAY(SELECT jsonb_array_elements_text(k.meta -> 'held')::bigint FROM messages k
                       WHERE k.conversation_id = p_from AND k.kind = 'held' AND k.seq > v_kept);
    DELETE FROM messages k WHERE k.conversation_id = p_from AND k.kind = 'held' AND k.seq > v_kept;
    v_held := ARRAY(SELECT h.seq FROM messages_to_ask_about(p_from) h
                     WHERE v_human OR answers_held(v_from.assistant) OR h.seq = ANY(v_wanted));
    v_moved := ARRAY(SELECT m.seq FROM messages m WHERE m.conversation_id = p_from AND m.seq IS NOT NULL
                        AND (m.seq > v_kept OR m.seq = ANY(v_held)) ORDER BY m.seq);
    UPDATE messages m SET conversation_id = v_into.id, seq = v_into.newest_seq + moved.place
      FROM unnest(v_moved) WITH ORDINALITY AS moved(seq, place)
     WHERE m.conversation_id = p_from AND m.seq = moved.seq;
    -- What the bot said leaves only if a person has neither; a version before all take-overs withholds it.
    UPDATE messages m SET conversation_id = v_into.id, owner_version = CASE WHEN m.owner_version IS NULL THEN NULL
           WHEN v_human OR m.owner_version < v_from.taken_version THEN -1 ELSE v_into.owner_version END
     WHERE m.conversation_id = p_from AND (m.delivery = 'due' OR m.id IN (SELECT w.id FROM words_to_tell(p_from) w));
    UPDATE effects e SET conversation_id = v_into.id,
           owner_version = CASE WHEN e.owner_version IS NOT NULL THEN m.owner_version END
      FROM messages m
     WHERE e.conversation_id = p_from AND e.kind = 'part' AND m.id = e.message_id AND m.conversation_id = v_into.id;
    UPDATE media f SET conversation_id = v_into.id FROM messages m
     WHERE f.conversation_id = p_from AND m.id = f.message_id AND m.conversation_id = v_into.id;

    PERFORM move_questions(v_from, v_into, v_moved);
    PERFORM move_threads(p_from, v_into.id);
    UPDATE tickets k SET conversation_id = v_into.id WHERE k.conversation_id = p_from;
    UPDATE handoffs h SET released_at = agent_now(), released_by = 'merged'
     WHERE h.conversation_id = p_from AND h.released_at IS NULL
       AND EXISTS (SELECT 1 FROM handoffs open WHERE open.conversation_id = v_into.id AND open.released_at IS NULL);
    UPDATE handoffs h SET conversation_id = v_into.id WHERE h.conversation_id = p_from;

    UPDATE conversations c SET newest_seq = v_into.newest_seq + cardinality(v_moved),
           last_message_at = greatest(v_into.last_message_at, v_from.last_message_at)
     WHERE c.id = v_into.id;
    PERFORM own_after_merge(v_into.id, v_called);
    PERFORM answer_held(v_into.id);
    IF NOT v_under_way AND v_from.owner <> 'closed' THEN  -- under the same version: a late outcome is not withheld
        INSERT INTO transitions (conversation_id, version, from_owner, to_owner, why, who)
        VALUES (p_from, v_from.owner_version, v_from.owner, 'closed', 'merged', 'inbox');
    END IF;
    UPDATE conversations c SET newest_seq = v_kept, stopped_seq = NULL,
           owner = CASE WHEN v_under_way THEN v_from.owner ELSE 'closed' END
     WHERE c.id = p_from;

    RETURN QUERY
    SELECT c.id, c.workflow_id, c.channel, c.assistant, c.newest_seq,
           EXISTS (SELECT 1 FROM media f WHERE f.conversation_id = c.id AND f.status = 'due'), c.cursor < c.newest_seq,
           EXISTS (SELECT 1 FROM messages m WHERE m.conversation_id = c.id AND m.delivery = 'due')
      FROM conversations c WHERE c.id = v_into.id;
END $$;
