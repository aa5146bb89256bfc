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
