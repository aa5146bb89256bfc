-- No words come back after an erasure (storage/erasure.py): what is stored late is stored without them. Each table with
-- words has the trigger (triggers/).

-- is_erased: whether the conversation's customer is, by now. Who changes something of it locks it first, and asks then.
CREATE OR REPLACE FUNCTION is_erased(p_conversation uuid) RETURNS boolean LANGUAGE sql VOLATILE AS $$
    SELECT EXISTS (SELECT 1 FROM conversations c JOIN customers k ON k.id = c.customer_id
                    WHERE c.id = p_conversation AND k.erased_at IS NOT NULL)
$$;

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
