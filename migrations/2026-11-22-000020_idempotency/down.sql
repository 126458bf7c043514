-- Forgets the answers that are kept, and that they are swept.
CREATE OR REPLACE FUNCTION app.outdated_rows() RETURNS TABLE (chore text, table_name text, key_column text, condition text)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, public, pg_temp
AS $$
    VALUES
        -- Used refresh tokens stay while their session lives: that is how a stolen one is noticed.
        ('refresh_tokens', 'identity.refresh_tokens', 'token_hash',
         'session_id IN (SELECT id FROM identity.sessions
                          WHERE coalesce(ended_at, expires_at) < now() - interval ''30 days'')'),
        ('sessions', 'identity.sessions', 'id',
         'coalesce(ended_at, expires_at) < now() - interval ''30 days''
          AND NOT EXISTS (SELECT FROM identity.refresh_tokens AS token WHERE token.session_id = outdated.id)'),
        ('letters', 'identity.letters', 'id',
         'coalesce(sent_at, failed_at, expires_at) < now() - interval ''30 days'''),
        -- The password of somebody who never came is not kept.
        ('registrations', 'identity.registrations', 'id', 'expires_at < now() - interval ''1 day'''),
        ('links', 'identity.links', 'id', 'expires_at < now() - interval ''30 days'''),
        -- Who was asked in by whom, and what became of it, can be seen for a year; that somebody came in stays in the log.
        ('invitations', 'identity.invitations', 'id', 'coalesce(closed_at, expires_at) < now() - interval ''1 year'''),
        ('external_tokens', 'identity.external_tokens', 'token_hash', 'expires_at < now()'),
        ('throttles', 'identity.throttles', 'key_hash', 'empty_at <= now()'),
        ('known_devices', 'identity.known_devices', 'id', 'expires_at <= now()')
$$;
DROP TABLE crm_idempotent_answers;
