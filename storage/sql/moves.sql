-- What a merge moves to the conversation that goes on: what is open, so messages that no turn has answered, open
-- questions, handoffs, tickets, threads, replies that are due.

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
    v_brings boolean;     -- something that somebody has to carry on
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
    v_brings := cardinality(v_moved) > 0
             OR EXISTS (SELECT 1 FROM messages m WHERE m.conversation_id = p_from AND m.delivery = 'due')
             OR EXISTS (SELECT 1 FROM words_to_tell(p_from))
             OR EXISTS (SELECT 1 FROM actions a WHERE a.conversation_id = p_from AND a.status = 'awaiting_confirmation');
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

    -- What came before the merged one was closed opens the other as little: behind nothing else that waits there.
    UPDATE conversations c SET newest_seq = v_into.newest_seq + cardinality(v_moved),
           closed_seq = CASE WHEN v_from.owner = 'closed' AND v_into.newest_seq <= greatest(v_into.cursor, v_into.closed_seq)
                        THEN v_into.newest_seq + (SELECT count(*) FROM unnest(v_moved) AS moved(seq)
                                                   WHERE moved.seq <= v_from.closed_seq)
                        ELSE v_into.closed_seq END,
           last_message_at = greatest(v_into.last_message_at, v_from.last_message_at)
     WHERE c.id = v_into.id;
    PERFORM own_after_merge(v_into.id, v_called);
    PERFORM answer_held(v_into.id);
    -- Whoever cancelled the run of one did not cancel what the other brings: it is carried on, and all else with it, as
    -- by a message. Where both were cancelled, both stay so.
    UPDATE conversations c SET stopped_seq = CASE WHEN v_from.stopped_seq >= v_from.newest_seq THEN c.newest_seq END
     WHERE c.id = v_into.id AND v_brings AND v_into.stopped_seq >= v_into.newest_seq;
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

-- drop_questions_under_way: what is asked now, or about to be, and has done nothing yet is given up: the turn ends, and
-- its messages are answered elsewhere. An answer that still comes is not used.
CREATE OR REPLACE FUNCTION drop_questions_under_way(p_conversation uuid) RETURNS void LANGUAGE sql AS $$
    WITH dropped AS (
        UPDATE turns t SET status = 'held', failure = 'merged', step = t.step + 1, attempt = t.attempt + 1,
               purpose = 'answer', finished_at = agent_now()
         WHERE t.conversation_id = p_conversation AND t.finished_at IS NULL
           AND NOT EXISTS (SELECT 1 FROM effects e WHERE e.turn_id = t.id AND e.kind <> 'part')
        RETURNING t.id
    ), place AS (
        DELETE FROM account_places WHERE conversation_id = p_conversation
    )
    UPDATE account_calls SET ended_at = agent_now()
     WHERE turn_id IN (SELECT id FROM dropped) AND ended_at IS NULL
$$;

-- move_questions: what waits for a yes waits in the conversation that goes on, after the same messages as before. Of
-- two questions to one customer the newer is open: of which one a yes would mean, nobody could be sure.
CREATE OR REPLACE FUNCTION move_questions(p_from conversations, p_into conversations, p_moved bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE actions a SET conversation_id = p_into.id, asked_seq = p_into.newest_seq + (
           SELECT count(*) FROM unnest(p_moved) AS moved(seq) WHERE moved.seq <= a.asked_seq)
     WHERE a.conversation_id = p_from.id AND a.status = 'awaiting_confirmation';
    WITH dropped AS (
        UPDATE actions a SET status = 'cancelled', settled_at = agent_now()
         WHERE a.conversation_id = p_into.id AND a.status = 'awaiting_confirmation' AND a.confirmation_by = 'customer'
           AND EXISTS (SELECT 1 FROM actions newer WHERE newer.conversation_id = p_into.id
                          AND newer.status = 'awaiting_confirmation' AND newer.confirmation_by = 'customer'
                          AND (newer.created_at, newer.id) > (a.created_at, a.id)) RETURNING a.id
    )
    INSERT INTO transitions (conversation_id, version, from_owner, to_owner, why, who)
    SELECT p_into.id, p_into.owner_version, p_into.owner, p_into.owner, 'cancelled', 'inbox' FROM dropped;
END $$;

-- bring_questions: of a reply that moved here by a merge and was withheld here, what it answered comes after it: behind
-- all other messages, to be held or answered like them; it opens no closed conversation. Not where something was done
-- for it (its words are told), nor what a person has answered: where it stood, or here, since the reply came.
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
    UPDATE conversations c SET newest_seq = (SELECT max(seq) FROM moved),
           closed_seq = CASE WHEN c.owner = 'closed' AND c.newest_seq <= greatest(c.cursor, c.closed_seq)
                        THEN (SELECT max(seq) FROM moved) ELSE c.closed_seq END
     WHERE c.id = p_conversation AND EXISTS (SELECT 1 FROM moved);
END $$;

-- move_threads: all ids are found in the conversation that goes on, in its own thread; in the merged one's if it has none.
CREATE OR REPLACE FUNCTION move_threads(p_from uuid, p_into uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF keeps_thread(p_into) THEN
        UPDATE threads SET ended_at = agent_now(), end_reason = 'merged'
         WHERE conversation_id = p_from AND ended_at IS NULL;
    END IF;
    UPDATE threads SET conversation_id = p_into WHERE conversation_id = p_from;
END $$;

-- What a merge moves stood elsewhere before: what staff had said here until then was no answer to it.
CREATE OR REPLACE FUNCTION note_the_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.moved_at := agent_now();
    RETURN NEW;
END $$;

-- keeps_thread: whether the conversation goes on in its own thread after a merge: it has one in use, or is about to.
CREATE OR REPLACE FUNCTION keeps_thread(p_conversation uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT 1 FROM threads WHERE conversation_id = p_conversation AND ended_at IS NULL)
        OR EXISTS (SELECT 1 FROM turns WHERE conversation_id = p_conversation AND finished_at IS NULL)
$$;
