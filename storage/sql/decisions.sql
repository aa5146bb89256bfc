-- An action that waits for a yes, the customer's or staff's: what the claim of a turn reads to tell whether a plain yes
-- counts (`question_words`, `was_said_otherwise`). Words that say that it waits never leave once it does no more,
-- whoever ended it; what came of it is told once, in a message of its own (`id_scope` "action", the action's id).

-- is_over: the words say that an action waits for a yes (`asks`), and it does no more.
CREATE OR REPLACE FUNCTION is_over(p_words messages) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT 1 FROM actions a
                    WHERE a.id = (p_words.meta ->> 'asks')::uuid AND a.status <> 'awaiting_confirmation')
$$;

-- was_never_given: over HTTP, such words of which no caller had read by the time they were over.
CREATE OR REPLACE FUNCTION was_never_given(p_words messages) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT p_words.delivery IS NULL AND p_words.meta ? 'asks' AND is_over(p_words)
       AND (NOT p_words.meta ? 'given_at' OR p_words.meta ? 'given_instead')
$$;

-- given_instead: what their caller reads in their place: what came of the action, or, where nobody agreed to it and
-- nothing was done before in the same turn, of the same one that was asked about since, one that was agreed to first;
-- as the customer is told; where that is not known yet, that it is under way; else what was done before, or that it is
-- not asked any more, for something else is, or at all. NULL: a person has the conversation, and tells it.
CREATE OR REPLACE FUNCTION given_instead(p_words messages, p_owner text, p_texts jsonb) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT coalesce(
               (SELECT w.text FROM messages w
                 WHERE w.channel = p_words.channel AND w.id_scope = 'action' AND w.channel_message_id = now.id::text
                   AND w.direction = 'out' AND (p_owner <> 'human' OR w.delivery IS DISTINCT FROM 'withheld')),
               CASE WHEN now.status <> 'accepted' THEN p_words.meta ->> 'done' END,
               CASE WHEN p_owner = 'human' THEN NULL
                    WHEN now.status = 'accepted' THEN p_texts ->> CASE WHEN now.id = a.id THEN 'still_working' ELSE
                         CASE e.status WHEN 'confirmed' THEN 'action_done' WHEN 'unknown' THEN 'action_unknown'
                              WHEN 'failed' THEN 'action_failed' ELSE 'still_working' END END
                    WHEN EXISTS (SELECT 1 FROM actions q WHERE q.conversation_id = a.conversation_id
                                    AND q.created_at > a.created_at AND q.confirmation_by = 'customer')
                    THEN p_texts ->> 'replaced' ELSE p_texts ->> 'dropped' END)
      FROM actions a CROSS JOIN LATERAL (
           SELECT s.* FROM actions s
            WHERE s.id = a.id OR a.status <> 'accepted' AND NOT p_words.meta ? 'done'
              AND s.conversation_id = a.conversation_id AND s.name = a.name AND s.metadata = a.metadata
              AND s.created_at >= a.created_at
            ORDER BY s.status = 'accepted' DESC, s.created_at DESC, s.id = a.id LIMIT 1) AS now
      LEFT JOIN effects e ON e.key = now.effect_key
     WHERE a.id = (p_words.meta ->> 'asks')::uuid
$$;

-- is_settled: they are over, and nothing is owed for them: the customer has said yes, or what came of it is told, or
-- kept to be told.
CREATE OR REPLACE FUNCTION is_settled(p_words messages) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT is_over(p_words) AND (
        EXISTS (SELECT 1 FROM messages w WHERE w.channel = p_words.channel AND w.id_scope = 'action'
                   AND w.channel_message_id = p_words.meta ->> 'asks' AND w.direction = 'out')
        OR EXISTS (SELECT 1 FROM actions a WHERE a.id = (p_words.meta ->> 'asks')::uuid
                      AND a.status = 'accepted' AND a.decided_by = 'customer'))
$$;

-- words_instead: of what was done in the same turn before (`done`), else *p_dropped*, where the words are over, nobody
-- tells what came of it, and nothing of them may have left; else NULL.
CREATE OR REPLACE FUNCTION words_instead(p_words messages, p_dropped text DEFAULT NULL) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT coalesce(p_words.meta ->> 'done', p_dropped) FROM actions a
     WHERE a.id = (p_words.meta ->> 'asks')::uuid AND a.status IN ('cancelled', 'expired') AND a.decided_by IS NULL
       AND NOT EXISTS (SELECT 1 FROM effects e
                        WHERE e.message_id = p_words.id AND e.status IN ('sending', 'confirmed', 'unknown'))
$$;

-- say_instead: such words become a message, in the place of those that are over: before a question that is still to be
-- sent, or they would seem to speak of that one.
CREATE OR REPLACE FUNCTION say_instead(p_words messages, p_delivery text, p_dropped text DEFAULT NULL) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO messages (conversation_id, direction, author, channel, id_scope, channel_message_id, text,
                          owner_version, delivery, stored_at)
    SELECT p_words.conversation_id, 'out', 'assistant', p_words.channel, 'action', p_words.meta ->> 'asks', said,
           p_words.owner_version, p_delivery,
           coalesce((SELECT min(m.stored_at) - interval '1 microsecond' FROM messages m
                      WHERE m.conversation_id = p_words.conversation_id AND m.delivery = 'due' AND m.meta ? 'buttons'
                        AND m.id <> p_words.id), agent_now())
      FROM words_instead(p_words, p_dropped) AS said WHERE said IS NOT NULL
        ON CONFLICT DO NOTHING
$$;

-- question_words: of a question to the customer, what is known of its words. `begun_at`: when it could first be read:
-- when the request began that the channel took; where an attempt before it may have arrived, and over HTTP, when it
-- was asked. `accepted_at`: when the channel had all parts, or a caller over HTTP was given it (`TurnViews.give`); the
-- year 9999 until then, and where a part failed, was deleted or is unknown. `followed`: other words of ours are newer,
-- which a plain yes may mean. `sent_as`: the channel's ids. No row where no words ask.
CREATE OR REPLACE FUNCTION question_words(p_asked actions) RETURNS TABLE (
    begun_at timestamptz, accepted_at timestamptz, followed boolean, sent_as jsonb
) LANGUAGE sql STABLE AS $$
    SELECT asks.begun_at, coalesce(asks.given_at, asks.taken_at, '9999-12-31T00:00:00Z'),
           says_more_since(p_asked.conversation_id, asks.id, asks.left_at, asks.given_at), asks.sent_as
      FROM (SELECT m.id, (m.meta ->> 'given_at')::timestamptz AS given_at,
                   coalesce(CASE WHEN bool_and(e.attempts = 1 OR e.unknown_attempts = 0) THEN min(e.claimed_at) END,
                            m.stored_at) AS left_at,
                   CASE WHEN bool_and(e.attempts = 1 OR e.unknown_attempts = 0 AND e.failed_fence IS NULL)
                        THEN min(e.claimed_at) ELSE p_asked.created_at END AS begun_at,
                   CASE WHEN bool_and(e.status = 'confirmed' AND coalesce(e.reached, 'deleted') <> 'deleted')
                        THEN max(e.settled_at) END AS taken_at,
                   coalesce(jsonb_agg(e.external_id) FILTER (WHERE e.external_id IS NOT NULL), '[]')
                   || coalesce(jsonb_path_query_array(jsonb_agg(e.result -> 'copies'), '$[*] ? (@ != null)[*]'), '[]')
                   AS sent_as
              FROM messages m LEFT JOIN effects e ON e.message_id = m.id
             WHERE m.turn_id = p_asked.turn_id AND m.direction = 'out' AND m.meta ->> 'asks' = p_asked.id::text
             GROUP BY m.id) AS asks
$$;

-- says_more_since: other words of ours than *p_question* began to be sent to the customer after it (*p_left_at*: where
-- an attempt before its last may have arrived, when it was asked), in this conversation or a merged one, and have
-- arrived, or may have, whatever a later attempt came to; over HTTP, and on the phone itself, they were stored later,
-- or first given later.
CREATE OR REPLACE FUNCTION says_more_since(
    p_conversation uuid, p_question uuid, p_left_at timestamptz, p_given_at timestamptz
) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT 1 FROM conversations c JOIN messages w ON w.conversation_id = c.id
         WHERE p_conversation IN (c.id, c.merged_into) AND w.direction = 'out' AND w.id <> p_question
           AND (w.delivery IS NULL
                AND (w.stored_at > p_left_at OR (w.meta ->> 'given_at')::timestamptz > p_given_at)
                OR EXISTS (SELECT 1 FROM effects e WHERE e.message_id = w.id AND e.claimed_at > p_left_at
                              AND (e.status IN ('sending', 'confirmed', 'unknown') OR e.unknown_attempts > 0))))
$$;

-- was_said_otherwise: since the question could be read (*p_begun_at*) the customer wrote what is not among the
-- messages that are to answer it, *p_first_seq* to *p_last_seq*: before them, and it did not settle the question, or
-- behind them; or in a merged conversation. A merge gives messages new numbers, so it is by the channel's time; by our
-- own for what was stored before it was asked.
CREATE OR REPLACE FUNCTION was_said_otherwise(
    p_asked actions, p_begun_at timestamptz, p_first_seq bigint, p_last_seq bigint
) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT 1 FROM conversations c JOIN messages m ON m.conversation_id = c.id
         WHERE p_asked.conversation_id IN (c.id, c.merged_into)
           AND m.direction = 'in' AND m.kind NOT IN ('deleted', 'held')
           AND (c.id <> p_asked.conversation_id OR m.seq NOT BETWEEN p_first_seq AND p_last_seq)
           AND (m.stored_at > p_asked.created_at OR c.id = p_asked.conversation_id AND m.seq > p_asked.asked_seq)
           AND (m.sent_at IS NULL OR p_begun_at IS NULL
                OR date_trunc('second', m.sent_at) > date_trunc('second', p_begun_at)))
$$;

-- spoke_since: the model has answered the customer since it asked them about the action, in the thread in which it did
-- what came before the question; and that answer has arrived.
CREATE OR REPLACE FUNCTION spoke_since(p_asked actions) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT 1 FROM conversations c JOIN messages q ON q.conversation_id = c.id
          JOIN turns asking ON asking.id = q.turn_id
          JOIN turns t ON t.conversation_id = asking.conversation_id AND t.first_seq > asking.last_seq
           AND t.frontend_context_uuid = asking.frontend_context_uuid AND t.status = 'answered' AND t.verdict = 'text'
          JOIN messages w ON w.turn_id = t.id AND w.direction = 'out'
         WHERE p_asked.confirmation_by = 'customer' AND p_asked.conversation_id IN (c.id, c.merged_into)
           AND q.direction = 'out' AND q.meta ->> 'asks' = p_asked.id::text
           AND (w.meta ? 'given_at' OR has_arrived(w.id)))
$$;

-- was_asked: a question to the customer is open, and its words are on their way, or have left.
CREATE OR REPLACE FUNCTION was_asked(p_conversation uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT 1 FROM actions a JOIN messages m ON m.meta ->> 'asks' = a.id::text AND m.direction = 'out'
                    WHERE a.conversation_id = p_conversation AND a.status = 'awaiting_confirmation'
                      AND a.confirmation_by = 'customer'
                      AND (m.delivery <> 'due' OR EXISTS (SELECT 1 FROM effects e WHERE e.message_id = m.id
                                                             AND e.status IN ('sending', 'confirmed', 'unknown'))))
$$;

-- supersede_message: a message that is due, and is not to leave (any more), ends; of words that are over, those of what
-- was done come in its place, or that it is not asked any more (*p_dropped*; not behind another question, of which that
-- would not be so): nobody's message ends in silence. As `give_up_message`, and without a note.
CREATE OR REPLACE FUNCTION supersede_message(p_message uuid, p_owner_version bigint, p_dropped text) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT give_up_message(p_message, p_owner_version, 'superseded', NULL, NULL, NULL) THEN RETURN false; END IF;
    PERFORM say_instead(m, 'due', CASE WHEN NOT was_asked(m.conversation_id) THEN p_dropped END)
       FROM messages m WHERE m.id = p_message AND NOT is_settled(m);
    RETURN true;
END $$;

-- is_owed: what came of the action is still the customer's to hear, once the bot has the conversation again: a handoff
-- or a close that came to be is over by then.
CREATE OR REPLACE FUNCTION is_owed(p_action actions) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT p_action.stands OR NOT EXISTS (
        SELECT 1 FROM effects e WHERE e.key = p_action.effect_key AND e.status = 'confirmed')
$$;

-- tell_outcome: what came of an action that waited for a yes. The customer is told now (*p_told*), or, where a person
-- has the conversation, once the bot has it again, unless the person wrote since (`words_to_tell`); of what is not owed
-- by then, what else its turn did (*p_beside*). *p_note*: for staff.
CREATE OR REPLACE FUNCTION tell_outcome(
    p_place conversations, p_action actions, p_told boolean, p_words text, p_note text, p_beside text DEFAULT NULL
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_is_owed constant boolean := p_told OR is_owed(p_action);
    v_said constant text := CASE WHEN v_is_owed THEN p_words ELSE p_beside END;
BEGIN
    INSERT INTO messages (conversation_id, direction, author, channel, id_scope, channel_message_id, text, meta,
                          owner_version, delivery)
    SELECT p_place.id, 'out', 'assistant', p_place.channel, 'action', p_action.id::text, v_said,
           CASE WHEN v_is_owed THEN '{}' ELSE '{"beside": true}' END::jsonb, p_place.owner_version,
           CASE WHEN NOT p_told THEN 'withheld' WHEN needs_delivery(p_place.channel, p_place.account) THEN 'due' END
     WHERE v_said IS NOT NULL
        ON CONFLICT DO NOTHING;
    INSERT INTO messages (conversation_id, direction, author, channel, id_scope, channel_message_id, kind, text)
    SELECT p_place.id, 'event', 'assistant', p_place.channel, CASE WHEN v_said IS NULL THEN 'action' ELSE '' END,
           CASE WHEN v_said IS NULL THEN p_action.id::text END, 'note', p_note
     WHERE p_note IS NOT NULL;
END $$;

-- tell_decision: what came of an action that staff decided on is said once, and with it the owner changes where the
-- action does that (*p_event*, *p_rules*): only under the version that the decision was made under, else *p_instead* is
-- said and the action counts as not done. A close is the bot's own: what the customer wrote meanwhile comes after it.
-- Under the owners *p_told_under* the bot tells the customer; else staff read a note. *p_beside*: what else its turn
-- did. Where the conversation was merged meanwhile, it is told in the one that goes on, as its owner says.
CREATE OR REPLACE FUNCTION tell_decision(
    p_conversation uuid, p_action uuid, p_event text, p_rules jsonb, p_reason text, p_words text, p_instead text,
    p_told_under text[], p_beside text
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_action actions%ROWTYPE;
    v_before conversations%ROWTYPE;
    v_place conversations%ROWTYPE;
    v_version bigint;  -- the owner's, that the decision was made under
    v_told boolean;
    v_overtaken boolean := false;
    v_words text;
BEGIN
    SELECT * INTO v_action FROM actions WHERE id = p_action;
    PERFORM 1 FROM effects e WHERE e.key = v_action.effect_key FOR UPDATE;
    SELECT coalesce(v_action.decided_version, e.owner_version) INTO v_version FROM effects e
     WHERE e.key = v_action.effect_key;
    PERFORM 1 FROM conversations c WHERE c.id = p_conversation OR c.id = (
            SELECT merged_into FROM conversations WHERE id = p_conversation) ORDER BY c.id FOR NO KEY UPDATE;
    SELECT * INTO v_place FROM conversations WHERE id = going_on(p_conversation);
    SELECT * INTO v_before FROM conversations WHERE id = p_conversation;
    IF EXISTS (SELECT 1 FROM messages WHERE channel = v_before.channel AND id_scope = 'action'
                  AND channel_message_id = p_action::text)
       OR EXISTS (SELECT 1 FROM customers k WHERE k.id = v_place.customer_id AND k.erased_at IS NOT NULL) THEN
        RETURN;
    END IF;
    v_told := v_place.owner = ANY(p_told_under);
    IF p_event IS NOT NULL THEN
        v_overtaken := v_before.owner_version <> v_version;
        SELECT c.version INTO v_version
          FROM change_owner(p_conversation, p_event, p_rules, v_action.decided_by, p_reason, p_version => v_version) c;
        UPDATE conversations SET closed_seq = v_before.closed_seq WHERE id = p_conversation;
        IF v_place.id = p_conversation THEN v_place.owner_version := v_version; END IF;
    END IF;
    IF v_overtaken THEN PERFORM withhold_decided(v_action); END IF;
    v_words := CASE WHEN v_overtaken THEN p_instead ELSE p_words END;
    PERFORM tell_outcome(v_place, v_action, v_told, v_words, CASE WHEN NOT v_told THEN v_words END, p_beside);
END $$;

-- withhold_decided: another owner has the conversation since staff decided on the action: it counts as not done.
CREATE OR REPLACE FUNCTION withhold_decided(p_action actions) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE effects SET status = 'failed', failure = 'withheld', fence = fence + 1, settled_at = agent_now(),
           error = jsonb_build_object('explanation', 'another owner has the conversation')
     WHERE key = p_action.effect_key AND status = 'confirmed';
    UPDATE actions SET status = 'cancelled' WHERE id = p_action.id;
END $$;

-- expire_question: a question, or an approval, whose time is over ends, once, and is told: to staff by a note, and to
-- the customer where the bot tells them (under the owners *p_told_under*), or later (`tell_outcome`). Returns whether
-- words wait to be sent over a channel.
CREATE OR REPLACE FUNCTION expire_question(
    p_action uuid, p_told_under text[], p_words text, p_note text, p_untold_note text
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_action actions%ROWTYPE;
    v_place conversations%ROWTYPE;
    v_told boolean;
BEGIN
    SELECT * INTO v_place FROM conversations WHERE id = (
            SELECT conversation_id FROM actions WHERE id = p_action) FOR NO KEY UPDATE;
    UPDATE actions SET status = 'expired', settled_at = agent_now()
     WHERE id = p_action AND conversation_id = v_place.id AND status = 'awaiting_confirmation'
       AND expires_at <= agent_now()
    RETURNING * INTO v_action;
    IF NOT FOUND THEN RETURN false; END IF;
    v_told := v_place.owner = ANY(p_told_under);
    INSERT INTO transitions (conversation_id, version, from_owner, to_owner, why, who)
    VALUES (v_place.id, v_place.owner_version, v_place.owner, v_place.owner, 'expired', 'nobody');
    PERFORM tell_outcome(v_place, v_action, v_told, p_words, CASE WHEN v_told THEN p_note ELSE p_untold_note END);
    RETURN v_told AND needs_delivery(v_place.channel, v_place.account);
END $$;
