-- Under the bot a turn is held for a ticket, which may have been resolved since it was claimed, or for a setting that
-- has changed.
CREATE OR REPLACE TRIGGER turns_answer_held AFTER UPDATE OF status ON turns FOR EACH ROW
    WHEN (NEW.status = 'held' AND OLD.status <> 'held' AND NEW.failure IS NULL)
    EXECUTE FUNCTION answer_what_a_turn_held();

CREATE OR REPLACE TRIGGER turns_refuse_merged AFTER INSERT ON turns FOR EACH ROW
    EXECUTE FUNCTION refuse_turn_of_merged();
