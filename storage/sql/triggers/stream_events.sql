CREATE OR REPLACE TRIGGER stream_events_blank_if_erased BEFORE INSERT ON stream_events FOR EACH ROW
    EXECUTE FUNCTION blank_if_erased('{"text": ""}');
