-- The clock of every statement.

-- agent_now: the one clock of every statement, default and function of ours. It is the transaction's time, shifted by
-- the session's setting `agent.clock_shift` (an interval), which only tests set (`storage.database.Database`).
CREATE OR REPLACE FUNCTION agent_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
RETURN now() + coalesce(nullif(current_setting('agent.clock_shift', true), ''), '0')::interval;
