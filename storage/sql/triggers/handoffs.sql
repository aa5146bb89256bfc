CREATE OR REPLACE TRIGGER handoffs_blank_if_erased BEFORE INSERT ON handoffs FOR EACH ROW
    EXECUTE FUNCTION blank_if_erased('{"reason": "", "details": {}}');
