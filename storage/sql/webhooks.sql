-- The inbox of webhooks: messages, and what happens beside them, as channels report them.

-- store_channel_messages: all of a webhook, in its order; each by itself, so the batch is stored whole or not at all.
-- `merged`, at last: each conversation that ended by this batch, to be told.
-- Customers and limits are locked in one order beforehand, or two webhooks with the same ones could block each other.
-- So is all that a merge locks, before any other conversation is (`lock_to_merge`).
CREATE OR REPLACE FUNCTION store_channel_messages(p_channel text, p_messages jsonb, p_options jsonb)
RETURNS TABLE (outcome text, conversation_id uuid, workflow_id text, channel text, assistant text, seq bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_message jsonb;
BEGIN
    PERFORM lock_in_order(
        identity_locks(p_channel, (SELECT jsonb_agg(i) FROM jsonb_array_elements(p_messages) m,
                                          jsonb_array_elements((m -> 'identities') || (m -> 'new_identities')) i))
        || ARRAY(SELECT l ->> 'key' FROM jsonb_array_elements(p_messages) m, jsonb_array_elements(m -> 'limits') l));
    PERFORM lock_to_merge(p_channel, p_messages);
    FOR v_message IN SELECT value FROM jsonb_array_elements(p_messages) LOOP
        RETURN QUERY SELECT * FROM store_channel_message(p_channel, v_message, p_options);
    END LOOP;
    RETURN QUERY
    SELECT 'merged', c.id, c.workflow_id, c.channel, c.assistant, 0::bigint FROM conversations c
     WHERE c.merged_at = agent_now() AND c.customer_id IN (
           SELECT i.customer_id FROM jsonb_array_elements(p_messages) m,
                  jsonb_array_elements((m -> 'identities') || (m -> 'new_identities')) AS wanted
             JOIN channel_identities i ON i.channel = p_channel
              AND i.kind = wanted ->> 'kind' AND i.value = wanted ->> 'value');
END $$;

-- store_channel_message: one message, reaction, echo, … of a webhook, for the assistant that this account belongs to.
-- `outcome`: new | repeated | noted | unknown_account (not one of our accounts: kept aside, without effect).
CREATE OR REPLACE FUNCTION store_channel_message(p_channel text, p jsonb, p_options jsonb)
RETURNS TABLE (outcome text, conversation_id uuid, workflow_id text, channel text, assistant text, seq bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_account text := p ->> 'account';
    v_assistant text;
    v_conversation conversations%ROWTYPE;
    v_name text := nullif(p ->> 'display_name', '');
    v_at constant timestamptz := (p ->> 'sent_at')::timestamptz;
    v_silence constant double precision := (p_options ->> 'silence_seconds')::double precision;
    v_revised boolean;
BEGIN
    v_assistant := assistant_of_account(p_channel, v_account);
    IF v_assistant IS NULL THEN
        IF p_options -> 'accounts' <> 'null' AND NOT p_options -> 'accounts' ? v_account THEN
            INSERT INTO leftovers (channel, account, why, raw)
            VALUES (p_channel, v_account, 'not one of our accounts', p #> '{meta,raw}');
            RETURN QUERY SELECT 'unknown_account', NULL::uuid, NULL::text, p_channel, NULL::text, 0::bigint;
            RETURN;
        END IF;
        v_assistant := 'default';
    END IF;

    IF NOT (p ->> 'speaks')::boolean THEN
        -- Once: a repeated one must not take or free a key that somebody else has by now.
        RETURN QUERY SELECT 'repeated', s.conversation_id, s.workflow_id, p_channel, s.assistant, 0::bigint
                       FROM stored_message(p_channel, v_account, p ->> 'channel_message_id', '') s;
        IF FOUND THEN RETURN; END IF;
        IF p ->> 'kind' = 'system' AND began_after(customer_of(p_channel, p -> 'identities', v_at), v_at) THEN
            INSERT INTO leftovers (channel, account, why, raw)
            VALUES (p_channel, v_account, 'a change of who had the key before its owner', p #> '{meta,raw}');
            RETURN QUERY SELECT 'noted', NULL::uuid, NULL::text, p_channel, NULL::text, 0::bigint;
            RETURN;
        END IF;
        v_conversation := known_conversation(p_channel, v_account, v_assistant, p -> 'identities', v_name, v_at,
                                             v_silence, p ->> 'kind' NOT IN ('system', 'echo'));
        IF NOT note_event(v_conversation.id, p_channel, v_account, p) THEN  -- it came in between
            RETURN QUERY SELECT 'repeated', v_conversation.id, v_conversation.workflow_id, p_channel,
                                v_conversation.assistant, 0::bigint;
            RETURN;
        END IF;
        IF p ->> 'kind' = 'system' THEN
            PERFORM change_keys(v_conversation.customer_id, p_channel, p -> 'identities', p -> 'new_identities', v_at);
        END IF;
        IF p ->> 'revises' IS NOT NULL THEN
            PERFORM revise_echo(v_conversation, v_account, p);
        END IF;
        v_revised := p ->> 'kind' IN ('edit', 'delete') AND revise_waiting(v_conversation, v_account, p);
        IF v_revised OR p ->> 'kind' <> 'edit' OR (p ->> 'of_another')::boolean THEN
            RETURN QUERY SELECT 'noted', v_conversation.id, v_conversation.workflow_id, p_channel,
                                v_conversation.assistant, 0::bigint;
            RETURN;
        END IF;
        -- New words for a message that was answered already are a message of their own.
        p := p || jsonb_build_object('channel_message_id', 'edit:' || (p ->> 'channel_message_id'),
                                     'text', (p_options ->> 'edited') || (p ->> 'text'));
    END IF;

    RETURN QUERY
    SELECT CASE WHEN s.is_new THEN 'new' ELSE 'repeated' END, s.conversation_id, s.workflow_id, s.channel, s.assistant,
           s.seq
      FROM store_message(
        p_channel, v_account, v_assistant, p -> 'identities', v_name, v_account, p ->> 'channel_message_id',
        p ->> 'kind', p ->> 'text', p ->> 'content_hash', p -> 'meta', v_at, false, p_options ->> 'request_id',
        p -> 'limits', p_options, v_silence
      ) s;
END $$;

-- assistant_of_account: the one whose newest configuration names this account of ours; NULL: none.
CREATE OR REPLACE FUNCTION assistant_of_account(p_channel text, p_account text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT c.assistant FROM configurations c
     WHERE c.version = (SELECT max(n.version) FROM configurations n WHERE n.assistant = c.assistant)
       AND c.body -> 'accounts' -> p_channel ? p_account
     ORDER BY c.assistant LIMIT 1
$$;

-- note_event: keeps what happened in a conversation beside its messages: a reaction, an edit, a deletion, a changed
-- number, what staff wrote on the phone itself, what another sender has. Once per channel id; it gets no sequence
-- number and asks for no answer.
CREATE OR REPLACE FUNCTION note_event(p_conversation uuid, p_channel text, p_id_scope text, p jsonb) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    v_echo constant boolean := p ->> 'kind' = 'echo';
    v_of_another constant boolean := coalesce((p ->> 'of_another')::boolean, false);
BEGIN
    INSERT INTO messages (conversation_id, direction, author, author_name, channel, id_scope, channel_message_id, kind,
                          text, meta, sent_at)
    VALUES (p_conversation, CASE WHEN v_echo AND NOT v_of_another THEN 'out' ELSE 'event' END,
            CASE WHEN v_echo THEN 'agent' ELSE 'customer' END,
            CASE WHEN v_echo AND v_of_another THEN 'another sender' END, p_channel, p_id_scope,
            p ->> 'channel_message_id', p ->> 'kind', p ->> 'text', p -> 'meta', (p ->> 'sent_at')::timestamptz)
        ON CONFLICT ON CONSTRAINT messages_channel_id_scope_channel_message_id_key DO NOTHING;
    RETURN FOUND;
END $$;

-- revise_echo: what staff wrote on the phone itself reads otherwise from now on, or is marked as taken back.
CREATE OR REPLACE FUNCTION revise_echo(p_conversation conversations, p_id_scope text, p jsonb) RETURNS void
LANGUAGE sql AS $$
    UPDATE messages m
       SET text = CASE WHEN p ->> 'revises' = 'edit' THEN p ->> 'text' ELSE '' END,
           kind = CASE WHEN p ->> 'revises' = 'edit' THEN m.kind ELSE 'deleted' END,
           meta = m.meta || jsonb_build_object('before', coalesce(m.meta ->> 'before', m.text))
     WHERE m.channel = p_conversation.channel AND m.id_scope = p_id_scope AND m.conversation_id = p_conversation.id
       AND m.channel_message_id = p #>> '{meta,concerns}' AND m.kind = 'echo'
$$;

-- revise_waiting: an edit or a deletion takes effect in place while its message waits, or is held. New words come too
-- late for a turn that has taken the message, and where something was done for it; a message that was taken back is not
-- asked about once more. It is counted (`merges`), for a yes that is about to be committed on words as they were.
CREATE OR REPLACE FUNCTION revise_waiting(p_conversation conversations, p_id_scope text, p jsonb) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE messages m
       SET text = CASE WHEN p ->> 'kind' = 'edit' THEN p ->> 'text' ELSE '' END,
           kind = CASE WHEN p ->> 'kind' = 'edit' THEN m.kind ELSE 'deleted' END,
           meta = m.meta || jsonb_build_object('before', coalesce(m.meta ->> 'before', m.text))
     WHERE m.channel = p_conversation.channel AND m.id_scope = p_id_scope
       AND m.channel_message_id = p #>> '{meta,concerns}' AND m.conversation_id = p_conversation.id
       AND m.direction = 'in'
       AND (m.seq > p_conversation.cursor OR m.id IN (SELECT h.id FROM held_messages(p_conversation.id) h))
       AND (p ->> 'kind' = 'delete' OR NOT is_acted_on(m.conversation_id, m.seq) AND NOT EXISTS (
            SELECT 1 FROM turns t JOIN messages k ON k.conversation_id = t.conversation_id AND k.seq >= t.first_seq
             WHERE t.conversation_id = m.conversation_id AND t.finished_at IS NULL
               AND (k.id = m.id OR k.kind = 'held' AND k.meta -> 'held' @> to_jsonb(m.seq))));
    IF NOT FOUND THEN RETURN false; END IF;
    UPDATE conversations SET merges = merges + 1 WHERE id = p_conversation.id;
    RETURN true;
END $$;

-- keep_media: files that came with a message, to be fetched; called once the message is stored.
CREATE OR REPLACE FUNCTION keep_media() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO media (message_id, conversation_id, n, account, channel, channel_media_id, mime_type, announced_sha256,
                       filename)
    SELECT NEW.id, NEW.conversation_id, place - 1, NEW.id_scope, NEW.channel, file ->> 'id', file ->> 'mime_type',
           file ->> 'sha256', file ->> 'filename'
      FROM jsonb_array_elements(NEW.meta -> 'media') WITH ORDINALITY AS files(file, place);
    RETURN NULL;
END $$;
