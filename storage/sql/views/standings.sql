-- standings: who has each conversation and what is open in it, as schemas.standing.Standing; read, never stored.
CREATE OR REPLACE VIEW standings AS
SELECT c.id AS conversation_id, c.owner, c.owner_version AS version, asked.questions, asked.approvals, open.tickets,
       (SELECT count(*) FROM messages m WHERE m.conversation_id = c.id AND m.delivery = 'due') AS deliveries,
       asked.seconds_left, state_of(c.owner, asked.questions, cardinality(open.tickets)) AS state
  FROM conversations c
 CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE a.confirmation_by = 'customer') AS questions,
           count(*) FILTER (WHERE a.confirmation_by = 'staff') AS approvals,
           extract(epoch FROM min(a.expires_at) - agent_now())::float8 AS seconds_left
      FROM actions a WHERE a.conversation_id = c.id AND a.status = 'awaiting_confirmation') asked
 CROSS JOIN LATERAL (
    SELECT coalesce(array_agg('T-' || k.number ORDER BY k.number), '{}') AS tickets
      FROM tickets k WHERE k.conversation_id = c.id AND k.status NOT IN ('resolved', 'closed')) open;
