-- Rate limits: asked before a message is stored.

-- take_rate: the GCRA limiter. Takes one message's place under *p_key* and returns 0, or the seconds until there is
-- one again (nothing is taken then). *p_per_minute* in the long run, *p_burst* at once; 0 per minute: no limit.
CREATE OR REPLACE FUNCTION take_rate(p_key text, p_per_minute double precision, p_burst int) RETURNS double precision
LANGUAGE plpgsql AS $$
DECLARE
    v_now double precision := extract(epoch FROM agent_now());
    v_interval double precision;
    v_wait double precision;
BEGIN
    IF p_per_minute <= 0 THEN RETURN 0; END IF;
    v_interval := 60 / p_per_minute;
    INSERT INTO rate_limits AS r (key, arrival) VALUES (p_key, v_now + v_interval)
        ON CONFLICT (key) DO UPDATE SET arrival = greatest(r.arrival, v_now) + v_interval
     WHERE greatest(r.arrival, v_now) - v_now <= v_interval * (p_burst - 1);
    IF FOUND THEN RETURN 0; END IF;
    SELECT arrival - v_now - v_interval * (p_burst - 1) INTO v_wait FROM rate_limits WHERE key = p_key;
    RETURN greatest(v_wait, 0.001);
END $$;

-- tell_of_limit: whether whoever is over the limit *p_key* is to be told now: once in *p_seconds*.
CREATE OR REPLACE FUNCTION tell_of_limit(p_key text, p_seconds double precision) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE rate_limits SET told_at = extract(epoch FROM agent_now())
     WHERE key = p_key AND (told_at IS NULL OR told_at < extract(epoch FROM agent_now()) - p_seconds);
    RETURN FOUND;
END $$;
