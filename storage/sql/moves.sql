-- What a merge moves to the conversation that goes on: what is open, so messages that no turn has answered, open
-- questions, handoffs, tickets, threads, replies that are due.

-- move_open_work: moves what is open in a merged conversation to the one that goes on, which is returned with what it
-- owes: what nobody has answered too, to be answered there, and the kept words of what was done. Called by the merge,
-- and again by the merged one's last run for what came to it late; it may be repeated.
CREATE OR REPLACE FUNCTION move_open_work(p_from uuid)
RETURNS TABLE (conversation_id uuid, workflow_id text, channel text, assistant text, seq bigint,
               files boolean, is_waiting boolean, needs_delivery boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_from conversations%ROWTYPE;
    v_into conversations%ROWTYPE;
    v_called boolean;     -- a person has the merged one
    v_human boolean;      -- a person has either
    v_kept bigint;        -- the last number that stays: a turn with an effect ends where it began, with its messages
    v_moved bigint[];
    v_brings boolean;     -- something that somebody has to carry on
BEGIN
    PERFORM lock_merged(p_from);
    SELECT * INTO v_from FROM conversations c WHERE c.id = p_from;
    SELECT * INTO v_into FROM conversations c WHERE c.id = v_from.merged_into;
    IF NOT FOUND THEN RETURN; END IF;
    v_called := EXISTS (SELECT 1 FROM handoffs h WHERE h.conversation_id = p_from AND h.released_at IS NULL);
    v_human := v_called OR 'human' IN (v_from.owner, v_into.owner);

    v_kept := end_turns_without_effect(v_from);
    IF v_human THEN PERFORM withhold_unsent_replies(p_from); END IF;
    v_moved := messages_to_move(v_from, v_kept, v_human);
    v_brings := cardinality(v_moved) > 0 OR owes_something(p_from);
    PERFORM move_messages(v_from, v_into, v_moved, v_human);
    PERFORM move_questions(v_from, v_into, v_moved);
    PERFORM move_threads(p_from, v_into.id);
    UPDATE tickets k SET conversation_id = v_into.id WHERE k.conversation_id = p_from;
    PERFORM move_handoffs(p_from, v_into.id);

    PERFORM count_moved(v_from, v_into, v_moved);
    PERFORM own_after_merge(v_into.id, v_called);
    PERFORM answer_held(v_into.id);
    -- Whoever cancelled the run of one did not cancel what the other brings: it is carried on, and all else with it, as
    -- by a message. Where both were cancelled, both stay so.
    UPDATE conversations c SET stopped_seq = CASE WHEN v_from.stopped_seq >= v_from.newest_seq THEN c.newest_seq END
     WHERE c.id = v_into.id AND v_brings AND v_into.stopped_seq >= v_into.newest_seq;
    PERFORM close_merged(v_from, v_kept);

    RETURN QUERY
    SELECT c.id, c.workflow_id, c.channel, c.assistant, c.newest_seq,
           EXISTS (SELECT 1 FROM media f WHERE f.conversation_id = c.id AND f.status = 'due'), c.cursor < c.newest_seq,
           EXISTS (SELECT 1 FROM messages m WHERE m.conversation_id = c.id AND m.delivery = 'due')
      FROM conversations c WHERE c.id = v_into.id;
END $$;

-- lock_merged: what is open in it, and both conversations, in the order in which all take them.
CREATE OR REPLACE FUNCTION lock_merged(p_from uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM lock_effects(ARRAY[p_from]);
    PERFORM 1 FROM turns t WHERE t.conversation_id = p_from AND t.finished_at IS NULL ORDER BY t.id FOR UPDATE;
    PERFORM 1 FROM conversations c WHERE c.id = p_from OR c.id = (
            SELECT merged_into FROM conversations WHERE id = p_from) ORDER BY c.id FOR UPDATE;
END $$;

-- end_turns_without_effect: what is asked now, or about to be, and has done nothing yet is given up: the turn ends, and
-- its messages are answered elsewhere. An answer that still comes is not used. Returns the newest number that stays:
-- of the messages of a turn that has done something, or else of those that are processed.
CREATE OR REPLACE FUNCTION end_turns_without_effect(p_from conversations) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    WITH ended AS (
        UPDATE turns t SET status = 'held', failure = 'merged', step = t.step + 1, attempt = t.attempt + 1,
               purpose = 'answer', finished_at = agent_now()
         WHERE t.conversation_id = p_from.id AND t.finished_at IS NULL
           AND NOT EXISTS (SELECT 1 FROM effects e WHERE e.turn_id = t.id AND e.kind <> 'part')
        RETURNING t.id
    ), place AS (
        DELETE FROM account_places WHERE conversation_id = p_from.id
    )
    UPDATE account_calls SET ended_at = agent_now()
     WHERE turn_id IN (SELECT id FROM ended) AND ended_at IS NULL;
    RETURN (SELECT coalesce(max(t.last_seq), p_from.cursor) FROM turns t
             WHERE t.conversation_id = p_from.id AND t.finished_at IS NULL);
END $$;

-- withhold_unsent_replies: what the bot said and nobody has begun to send is withheld from now on.
CREATE OR REPLACE FUNCTION withhold_unsent_replies(p_conversation uuid) RETURNS void LANGUAGE sql AS $$
    WITH withheld AS (
        UPDATE messages m SET delivery = 'withheld'
         WHERE m.conversation_id = p_conversation AND m.delivery = 'due' AND m.owner_version IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM effects e WHERE e.message_id = m.id AND e.status <> 'planned')
        RETURNING m.id
    )
    UPDATE effects e SET status = 'failed', failure = 'withheld', settled_at = agent_now()
      FROM withheld WHERE e.message_id = withheld.id
$$;

-- messages_to_move: the numbers of those that no turn has answered. Held ones go to the person, or are answered like
-- others, where that is theirs to be; the messages of kind `held` that asked about them end here.
CREATE OR REPLACE FUNCTION messages_to_move(p_from conversations, p_kept bigint, p_human boolean) RETURNS bigint[]
LANGUAGE plpgsql AS $$
DECLARE
    v_wanted bigint[];  -- held ones that are about to be taken up
    v_held bigint[];
BEGIN
    v_wanted := ARRAY(SELECT jsonb_array_elements_text(k.meta -> 'held')::bigint FROM messages k
                       WHERE k.conversation_id = p_from.id AND k.kind = 'held' AND k.seq > p_kept);
    DELETE FROM messages k WHERE k.conversation_id = p_from.id AND k.kind = 'held' AND k.seq > p_kept;
    v_held := ARRAY(SELECT h.seq FROM messages_to_ask_about(p_from.id) h
                     WHERE p_human OR answers_held(p_from.assistant) OR h.seq = ANY(v_wanted));
    RETURN ARRAY(SELECT m.seq FROM messages m WHERE m.conversation_id = p_from.id AND m.seq IS NOT NULL
                    AND (m.seq > p_kept OR m.seq = ANY(v_held)) ORDER BY m.seq);
END $$;

-- owes_something: a reply that is due, kept words, or an action that waits for a yes.
CREATE OR REPLACE FUNCTION owes_something(p_conversation uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT 1 FROM messages m WHERE m.conversation_id = p_conversation AND m.delivery = 'due')
        OR EXISTS (SELECT 1 FROM words_to_tell(p_conversation))
        OR EXISTS (SELECT 1 FROM actions a
                    WHERE a.conversation_id = p_conversation AND a.status = 'awaiting_confirmation')
$$;

-- move_messages: the customer's of these numbers, to the next numbers there; replies that are due, and kept words; with
-- their parts and files. What the bot said leaves only if a person has neither (*p_human*); a version before all
-- take-overs withholds it.
CREATE OR REPLACE FUNCTION move_messages(
    p_from conversations, p_into conversations, p_moved bigint[], p_human boolean
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE messages m SET conversation_id = p_into.id, seq = p_into.newest_seq + moved.place
      FROM unnest(p_moved) WITH ORDINALITY AS moved(seq, place)
     WHERE m.conversation_id = p_from.id AND m.seq = moved.seq;
    UPDATE messages m SET conversation_id = p_into.id, owner_version = CASE WHEN m.owner_version IS NULL THEN NULL
           WHEN p_human OR m.owner_version < p_from.taken_version THEN -1 ELSE p_into.owner_version END
     WHERE m.conversation_id = p_from.id
       AND (m.delivery = 'due' OR m.id IN (SELECT w.id FROM words_to_tell(p_from.id) w));
    UPDATE effects e SET conversation_id = p_into.id,
           owner_version = CASE WHEN e.owner_version IS NOT NULL THEN m.owner_version END
      FROM messages m
     WHERE e.conversation_id = p_from.id AND e.kind = 'part' AND m.id = e.message_id
       AND m.conversation_id = p_into.id;
    UPDATE media f SET conversation_id = p_into.id FROM messages m
     WHERE f.conversation_id = p_from.id AND m.id = f.message_id AND m.conversation_id = p_into.id;
END $$;

-- move_handoffs: of two open ones, that of the conversation that goes on stays open.
CREATE OR REPLACE FUNCTION move_handoffs(p_from uuid, p_into uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE handoffs h SET released_at = agent_now(), released_by = 'merged'
     WHERE h.conversation_id = p_from AND h.released_at IS NULL
       AND EXISTS (SELECT 1 FROM handoffs open WHERE open.conversation_id = p_into AND open.released_at IS NULL);
    UPDATE handoffs h SET conversation_id = p_into WHERE h.conversation_id = p_from;
END $$;

-- count_moved: the conversation that goes on has so many messages more. What came before the merged one was closed
-- opens the other as little: behind nothing else that waits there.
CREATE OR REPLACE FUNCTION count_moved(p_from conversations, p_into conversations, p_moved bigint[]) RETURNS void
LANGUAGE sql AS $$
    UPDATE conversations c SET newest_seq = p_into.newest_seq + cardinality(p_moved),
           closed_seq = CASE
               WHEN p_from.owner = 'closed' AND p_into.newest_seq <= greatest(p_into.cursor, p_into.closed_seq)
               THEN p_into.newest_seq + (SELECT count(*) FROM unnest(p_moved) AS moved(seq)
                                          WHERE moved.seq <= p_from.closed_seq)
               ELSE p_into.closed_seq END,
           last_message_at = greatest(p_into.last_message_at, p_from.last_message_at)
     WHERE c.id = p_into.id
$$;

-- close_merged: unless a turn is still under way there, which ends where it began. Under the same version: a late
-- outcome is not withheld.
CREATE OR REPLACE FUNCTION close_merged(p_from conversations, p_kept bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_under_way constant boolean := EXISTS (
        SELECT 1 FROM turns t WHERE t.conversation_id = p_from.id AND t.finished_at IS NULL);
BEGIN
    IF NOT v_under_way AND p_from.owner <> 'closed' THEN
        INSERT INTO transitions (conversation_id, version, from_owner, to_owner, why, who)
        VALUES (p_from.id, p_from.owner_version, p_from.owner, 'closed', 'merged', 'inbox');
    END IF;
    UPDATE conversations c SET newest_seq = p_kept,
           owner = CASE WHEN v_under_way THEN p_from.owner ELSE 'closed' END
     WHERE c.id = p_from.id;
END $$;

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

-- move_messages_of_withheld_replies: of a reply that moved here by a merge and was withheld here, what it answered
-- comes after it: behind all other messages, to be held or answered like them; it opens no closed conversation. Not
-- where something was done for it (its words are told), nor what a person has answered: where it stood, or here, since
-- the reply came.
CREATE OR REPLACE FUNCTION move_messages_of_withheld_replies(p_conversation uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    WITH unanswered AS MATERIALIZED (
        SELECT t.conversation_id, t.first_seq, t.last_seq, k.moved_at
          FROM kept_words(p_conversation) k JOIN turns t ON t.id = k.turn_id
         WHERE t.conversation_id <> p_conversation AND t.status IN ('answered', 'apologised')
           AND k.delivery = 'withheld' AND NOT is_done(t.id)
    ), took AS MATERIALIZED (
        SELECT m.*, u.moved_at AS reply_moved_at
          FROM unanswered u JOIN messages m ON m.conversation_id = u.conversation_id
           AND m.seq BETWEEN u.first_seq AND u.last_seq
    ), asked AS (
        SELECT id, reply_moved_at FROM took
        UNION  -- what a message of kind `held` names
        SELECT m.id, k.reply_moved_at
          FROM took k CROSS JOIN LATERAL jsonb_array_elements_text(k.meta -> 'held') AS named(seq)
          JOIN messages m ON m.conversation_id = k.conversation_id AND m.seq = named.seq::bigint
    ), wanted AS MATERIALIZED (
        SELECT m.id, row_number() OVER (ORDER BY m.stored_at, m.seq) AS place
          FROM (SELECT id, max(reply_moved_at) AS reply_moved_at FROM asked GROUP BY id) AS asked
          JOIN messages m USING (id)
         WHERE m.kind NOT IN ('held', 'deleted') AND m.stored_at >= persons_word(m.conversation_id)
           AND greatest(m.stored_at, asked.reply_moved_at) >= persons_word(p_conversation)
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

-- move_threads: all ids are found in the conversation that goes on, in its own thread; in the merged one's if it has
-- none.
CREATE OR REPLACE FUNCTION move_threads(p_from uuid, p_into uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF keeps_thread(p_into) THEN
        UPDATE threads SET ended_at = agent_now(), end_reason = 'merged'
         WHERE conversation_id = p_from AND ended_at IS NULL;
    END IF;
    UPDATE threads SET conversation_id = p_into WHERE conversation_id = p_from;
END $$;

-- note_the_move: what a merge moves stood elsewhere before: what staff had said here until then was no answer to it.
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
