-- deliveries: the parts of replies, each with how far it has come in the words that people see.
CREATE OR REPLACE VIEW deliveries AS
SELECT id, message_id, conversation_id, split_part(key, '/', 2)::int AS part, request ->> 'kind' AS kind,
       coalesce(request ->> 'text', '') AS text, coalesce(request -> 'choices', '[]') AS choices,
       CASE WHEN failure = 'withheld' THEN failure WHEN status = 'planned' THEN 'due'
            WHEN status = 'confirmed' THEN reached ELSE status END AS status,
       external_id AS channel_message_id, attempts AS attempt, unknown_attempts, fence, failure, error,
       planned_at AS created_at, claimed_at AS sending_at, settled_at
  FROM effects WHERE kind = 'part';
