CREATE OR REPLACE TRIGGER raw_outputs_blank_if_erased BEFORE INSERT ON raw_outputs FOR EACH ROW
    EXECUTE FUNCTION blank_if_erased('{"text": "", "details": {}, "errors": [], "notes": [], "explanation": null}');
