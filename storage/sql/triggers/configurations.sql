-- An assistant that held what came while a ticket is open, and holds it no more: each such conversation is locked, so a
-- turn that is being held is looked at either here or by its own commit.
CREATE OR REPLACE TRIGGER configurations_answer_held AFTER INSERT ON configurations FOR EACH ROW
    WHEN (NEW.body #>> '{actions,ticket_open}' IS DISTINCT FROM 'hold')
    EXECUTE FUNCTION answer_what_tickets_held();
