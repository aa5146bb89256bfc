CREATE OR REPLACE TRIGGER effects_blank_if_erased BEFORE INSERT ON effects FOR EACH ROW
    EXECUTE FUNCTION blank_if_erased('{"request": {}, "result": null, "error": null, "request_hash": ""}');

-- What a human says of one that an erasure left unknown. The column alone: it has no words but theirs.
CREATE OR REPLACE TRIGGER notes_blank_if_erased BEFORE UPDATE OF note ON effects FOR EACH ROW
    WHEN (NEW.note IS NOT NULL) EXECUTE FUNCTION blank_if_erased('{"note": null}');

-- A part that is on its way when its customer is erased comes back with the channel's id, or a copy's (`result`), which
-- tells the number.
CREATE OR REPLACE TRIGGER parts_blank_if_erased BEFORE INSERT OR UPDATE ON effects FOR EACH ROW WHEN (NEW.kind = 'part')
    EXECUTE FUNCTION blank_if_erased('{"external_id": null, "error": null, "result": null, "request": {}}');
