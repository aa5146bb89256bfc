-- A turn's place in the queue of its Perplexity account, and its slot.

-- claim_slot: may this turn's question go to the account now? One place a conversation in the account's queue,
-- first come, first served; as many may go as there are free slots (calls in flight) and calls left in this minute.
-- Returns 0 with the slot taken and the turn `asking`; the seconds until it is worth coming again, with the place
-- kept; or -1 if the turn is another attempt's by now. A slot of an earlier attempt of the turn is taken over.
CREATE OR REPLACE FUNCTION claim_slot(
    p_turn uuid, p_attempt int, p_slot uuid, p_account text, p_in_flight int, p_per_minute int,
    p_lease_seconds double precision, p_place_seconds double precision
) RETURNS double precision LANGUAGE plpgsql AS $$
DECLARE
    v_conversation uuid;
    v_ahead int;
    v_flying int;
    v_recent int;
    v_next timestamptz;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('account:' || p_account, 0));
    SELECT conversation_id INTO v_conversation FROM turns
     WHERE id = p_turn AND attempt = p_attempt AND status = 'claimed' FOR UPDATE;
    IF NOT FOUND THEN RETURN -1; END IF;
    UPDATE account_calls SET ended_at = agent_now() WHERE turn_id = p_turn AND ended_at IS NULL;
    DELETE FROM account_calls WHERE perplexity_account = p_account AND started_at < agent_now() - interval '1 minute'
       AND (ended_at IS NOT NULL OR expires_at < agent_now());
    v_ahead := take_place(v_conversation, p_account, p_place_seconds);
    SELECT count(*) FILTER (WHERE ended_at IS NULL AND expires_at >= agent_now()),
           count(*) FILTER (WHERE started_at >= agent_now() - interval '1 minute')
      INTO v_flying, v_recent FROM account_calls WHERE perplexity_account = p_account;
    IF v_recent + v_ahead >= p_per_minute THEN
        SELECT started_at INTO v_next FROM account_calls
         WHERE perplexity_account = p_account AND started_at >= agent_now() - interval '1 minute'
         ORDER BY started_at OFFSET greatest(0, v_recent + v_ahead - p_per_minute) LIMIT 1;
        v_next := coalesce(v_next, agent_now()) + interval '1 minute';
        RETURN greatest(0.5, least(p_place_seconds / 3, extract(epoch FROM v_next - agent_now())));
    END IF;
    IF v_flying + v_ahead >= p_in_flight THEN
        RETURN least(p_place_seconds / 3, 0.5 * (1 + v_ahead / p_in_flight));
    END IF;
    DELETE FROM account_places WHERE conversation_id = v_conversation;
    INSERT INTO account_calls (id, perplexity_account, turn_id, expires_at)
    VALUES (p_slot, p_account, p_turn, agent_now() + make_interval(secs => p_lease_seconds))
    ON CONFLICT (id) DO UPDATE SET ended_at = NULL, expires_at = excluded.expires_at;
    UPDATE turns SET status = 'asking', times_asked = times_asked + 1 WHERE id = p_turn;
    RETURN 0;
END $$;

-- take_place: the conversation's in the account's queue, kept if it has one; places of which nobody has come again for
-- *p_place_seconds* are gone. Returns how many are before it.
CREATE OR REPLACE FUNCTION take_place(p_conversation uuid, p_account text, p_place_seconds double precision)
RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM account_places
     WHERE perplexity_account = p_account AND seen_at < agent_now() - make_interval(secs => p_place_seconds);
    INSERT INTO account_places (conversation_id, perplexity_account) VALUES (p_conversation, p_account)
        ON CONFLICT (conversation_id) DO UPDATE
       SET seen_at = agent_now(), perplexity_account = excluded.perplexity_account,
           queued_at = CASE WHEN account_places.perplexity_account = excluded.perplexity_account
                       THEN account_places.queued_at ELSE agent_now() END;
    RETURN (SELECT count(*) FROM account_places other JOIN account_places mine
                ON mine.conversation_id = p_conversation AND other.perplexity_account = mine.perplexity_account
               AND (other.queued_at, other.conversation_id) < (mine.queued_at, mine.conversation_id));
END $$;
