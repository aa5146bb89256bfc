-- The ledger: what was done outside.

-- effects_of_turn: what the turn's actions with a side effect came to, but for *p_but_action*: whether one is confirmed
-- (`something_done`), and whether nobody knows of one (`something_unknown`). Inlined where a statement joins it.
CREATE OR REPLACE FUNCTION effects_of_turn(p_turn uuid, p_but_action uuid DEFAULT NULL)
RETURNS TABLE (something_done boolean, something_unknown boolean) LANGUAGE sql STABLE AS $$
    SELECT coalesce(bool_or(e.status = 'confirmed'), false),
           coalesce(bool_or(e.status IN ('sending', 'unknown')), false)
      FROM actions a JOIN effects e ON e.key = a.effect_key
     WHERE a.turn_id = p_turn AND a.id IS DISTINCT FROM p_but_action AND a.side_effect
$$;

-- effects_beside: the same for an action: of its turn, and where that is the turn of the customer's yes, of the one
-- that asked for it, whose words said nothing of them.
CREATE OR REPLACE FUNCTION effects_beside(p_action actions)
RETURNS TABLE (something_done boolean, something_unknown boolean) LANGUAGE sql STABLE AS $$
    SELECT bool_or(e.something_done), bool_or(e.something_unknown)
      FROM (SELECT p_action.turn_id
            UNION
            SELECT m.turn_id FROM messages m
             WHERE m.direction = 'out' AND m.meta ->> 'asks' = p_action.id::text) AS its(turn_id)
     CROSS JOIN LATERAL effects_of_turn(its.turn_id, p_action.id) AS e
$$;
