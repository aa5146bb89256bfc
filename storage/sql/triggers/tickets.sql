CREATE OR REPLACE TRIGGER tickets_blank_if_erased BEFORE INSERT ON tickets FOR EACH ROW
    EXECUTE FUNCTION blank_if_erased('{"subject": "", "description": "", "category": null}');
