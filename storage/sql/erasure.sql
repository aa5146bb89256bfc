-- No words come back after an erasure (storage/erasure.py): what is stored late is stored without them.

-- blank_if_erased: what a worker or an API process still has in hand when its customer is erased is stored without the
-- words. The argument holds the columns to blank, as JSON. Waits for an erasure that is under way (it locks the
-- conversation first), then looks: two statements, for each sees what is committed when it begins.
CREATE OR REPLACE FUNCTION blank_if_erased() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_erased timestamptz;
BEGIN
    IF TG_TABLE_NAME <> 'stream_events' THEN  -- those are many, unlogged and forgotten soon: not worth a row lock
        PERFORM 1 FROM conversations WHERE id = NEW.conversation_id FOR KEY SHARE;
    END IF;
    SELECT customers.erased_at INTO v_erased
      FROM conversations JOIN customers ON customers.id = conversations.customer_id
     WHERE conversations.id = NEW.conversation_id;
    IF v_erased IS NOT NULL THEN
        NEW := jsonb_populate_record(NEW, TG_ARGV[0]::jsonb);
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER messages_blank_if_erased BEFORE INSERT ON messages FOR EACH ROW
    EXECUTE FUNCTION blank_if_erased(
        '{"text": "", "meta": {}, "sources": [], "content_hash": "", "channel_message_id": null}');

CREATE OR REPLACE TRIGGER raw_outputs_blank_if_erased BEFORE INSERT ON raw_outputs FOR EACH ROW
    EXECUTE FUNCTION blank_if_erased('{"text": "", "details": {}, "errors": [], "notes": [], "explanation": null}');

CREATE OR REPLACE TRIGGER actions_blank_if_erased BEFORE INSERT ON actions FOR EACH ROW
    EXECUTE FUNCTION blank_if_erased('{"reason": "", "metadata": {}, "digest": "", "request_hash": ""}');

CREATE OR REPLACE TRIGGER effects_blank_if_erased BEFORE INSERT ON effects FOR EACH ROW
    EXECUTE FUNCTION blank_if_erased('{"request": {}, "result": null, "error": null, "request_hash": ""}');

CREATE OR REPLACE TRIGGER tickets_blank_if_erased BEFORE INSERT ON tickets FOR EACH ROW
    EXECUTE FUNCTION blank_if_erased('{"subject": "", "description": "", "category": null}');

CREATE OR REPLACE TRIGGER handoffs_blank_if_erased BEFORE INSERT ON handoffs FOR EACH ROW
    EXECUTE FUNCTION blank_if_erased('{"reason": "", "details": {}}');

CREATE OR REPLACE TRIGGER stream_events_blank_if_erased BEFORE INSERT ON stream_events FOR EACH ROW
    EXECUTE FUNCTION blank_if_erased('{"text": ""}');

CREATE OR REPLACE TRIGGER media_blank_if_erased BEFORE INSERT ON media FOR EACH ROW
    EXECUTE FUNCTION blank_if_erased(
        '{"filename": null, "channel_media_id": "", "announced_sha256": null, "status": "refused"}');

-- A part that is on its way when its customer is erased comes back with the channel's id, which tells the number.
CREATE OR REPLACE TRIGGER parts_blank_if_erased BEFORE INSERT OR UPDATE ON effects FOR EACH ROW WHEN (NEW.kind = 'part')
    EXECUTE FUNCTION blank_if_erased('{"external_id": null, "error": null, "request": {}}');
