-- Whatever gives a conversation to the bot, be it a change from outside, a turn's commit or a merge.
CREATE OR REPLACE TRIGGER conversations_answer_held AFTER UPDATE OF owner ON conversations FOR EACH ROW
    WHEN (NEW.owner = 'bot' AND OLD.owner <> 'bot') EXECUTE FUNCTION answer_what_was_held();
