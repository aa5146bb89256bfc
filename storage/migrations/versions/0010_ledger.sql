UPDATE effects SET kind = 'action:' || kind, request = jsonb_build_object('metadata', request);
--
UPDATE actions SET status = 'accepted' WHERE status IN ('planned', 'confirmed', 'failed', 'unknown');
--
-- The triggers that blank what comes after an erasure name the columns of before.
DROP TRIGGER actions_blank_if_erased ON actions;
--
CREATE TRIGGER actions_blank_if_erased BEFORE INSERT ON actions FOR EACH ROW EXECUTE FUNCTION
    blank_if_erased('{"reason": "", "metadata": {}, "digest": "", "request_hash": ""}');
