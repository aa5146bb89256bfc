CREATE OR REPLACE TRIGGER actions_blank_if_erased BEFORE INSERT ON actions FOR EACH ROW
    EXECUTE FUNCTION blank_if_erased('{"reason": "", "metadata": {}, "digest": "", "request_hash": ""}');
