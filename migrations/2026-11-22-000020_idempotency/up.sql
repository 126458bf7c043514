-- Answers that are given again: what a POST with an Idempotency-Key answered, kept for a day beside the change that it made.
--
-- What must stay true:
--   * An answer is written in the transaction of its change: both are there, or neither.
--   * It is its caller's alone. Not even others of the organisation read it, whatever their role.
--   * Nothing secret is in it, but values of records are: an erasure empties this table for its organisation, whatever is in it.

CREATE TABLE crm_idempotent_answers (
    organization_id uuid         NOT NULL DEFAULT app.org_id(),
    user_id         uuid         NOT NULL DEFAULT app.user_id(),
    route           varchar(500) NOT NULL,  -- method and address
    key_hash        bytea        NOT NULL,  -- of the key that the client chose
    body_hash       bytea        NOT NULL,  -- of the body that came with it: another body is another request
    status          smallint     NOT NULL,
    etag            varchar(100),
    location        varchar(500),
    body            bytea,                  -- NULL when it was too large to be kept
    record_ids      uuid[]       NOT NULL,  -- the records it shows: they must still be there when it is given again
    created_at      timestamptz  NOT NULL DEFAULT now(),
    CONSTRAINT crm_idempotent_answers_pkey PRIMARY KEY (organization_id, user_id, route, key_hash),
    CONSTRAINT crm_idempotent_answers_key_hash_length CHECK (octet_length(key_hash) = 32),
    CONSTRAINT crm_idempotent_answers_body_hash_length CHECK (octet_length(body_hash) = 32),
    CONSTRAINT crm_idempotent_answers_status_range CHECK (status BETWEEN 200 AND 299),
    CONSTRAINT crm_idempotent_answers_body_length CHECK (octet_length(body) <= 4194304),
    CONSTRAINT crm_idempotent_answers_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations (id),
    CONSTRAINT crm_idempotent_answers_user_id_fkey FOREIGN KEY (organization_id, user_id)
        REFERENCES memberships (organization_id, user_id)
);
CREATE INDEX crm_idempotent_answers_created ON crm_idempotent_answers (created_at);

-- The wall of every table, with narrower doors: one's own answers, and nobody else's.
SELECT app.secure_table('crm_idempotent_answers');
DROP POLICY org_read ON crm_idempotent_answers;
CREATE POLICY own_read ON crm_idempotent_answers FOR SELECT TO crm_app
    USING (organization_id = app.org_id() AND user_id = app.user_id() AND app.role() IS NOT NULL);
CREATE POLICY own_insert ON crm_idempotent_answers FOR INSERT TO crm_app
    WITH CHECK (organization_id = app.org_id() AND user_id = app.user_id() AND app.role() IN ('owner', 'admin', 'member'));
-- A key may be used anew when its day is over, also before housekeeping has come by.
CREATE POLICY own_delete ON crm_idempotent_answers FOR DELETE TO crm_app
    USING (organization_id = app.org_id() AND user_id = app.user_id() AND created_at < now() - interval '24 hours');
GRANT SELECT, DELETE, INSERT (route, key_hash, body_hash, status, etag, location, body, record_ids)
   ON crm_idempotent_answers TO crm_app;
GRANT UPDATE, DELETE ON crm_idempotent_answers TO crm_definer;  -- housekeeping, which locks what it deletes

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
        ('known_devices', 'identity.known_devices', 'id', 'expires_at <= now()'),
        ('idempotent_answers', 'crm_idempotent_answers', 'created_at', 'created_at < now() - interval ''24 hours''')
$$;
SELECT app.seal_functions();
