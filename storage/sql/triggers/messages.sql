CREATE OR REPLACE TRIGGER messages_blank_if_erased BEFORE INSERT ON messages FOR EACH ROW
    EXECUTE FUNCTION blank_if_erased(
        '{"text": "", "meta": {}, "sources": [], "content_hash": "", "channel_message_id": null}');

CREATE OR REPLACE TRIGGER messages_note_the_move BEFORE UPDATE OF conversation_id ON messages FOR EACH ROW
    WHEN (NEW.conversation_id <> OLD.conversation_id) EXECUTE FUNCTION note_the_move();

CREATE OR REPLACE TRIGGER keep_media AFTER INSERT ON messages
    FOR EACH ROW WHEN (NEW.direction = 'in' AND NEW.meta ? 'media') EXECUTE FUNCTION keep_media();
