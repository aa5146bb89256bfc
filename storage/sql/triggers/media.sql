CREATE OR REPLACE TRIGGER media_blank_if_erased BEFORE INSERT ON media FOR EACH ROW
    EXECUTE FUNCTION blank_if_erased(
        '{"filename": null, "channel_media_id": "", "announced_sha256": null, "status": "refused"}');
