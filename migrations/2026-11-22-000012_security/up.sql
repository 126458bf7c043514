-- What the later migrations of identity stand on: events of identity in the log, service users, API tokens, the second factor in
-- sessions, letters that wait to be sent; and app.begin_request, which knows them.
--
-- What must stay true:
--   * Everything that happens to a login, a token or a setting is a row of the log, written in the transaction of the change by a
--     trigger or by app.log_event. Secrets and their hashes never enter it.
--   * What is logged of identity is shown to owners and admins alone.
--   * app.begin_request judges session and token anew at every transaction: what is revoked is refused with the next request.

-- ---------------------------------------------------------------- the log, for what has no table of a tenant

-- Writes one activity. Who and whence come from the context of the transaction where there is one, and from the arguments where
-- nobody has entered yet, as at a login.
CREATE FUNCTION app.log_event(
    p_org         uuid,
    p_user        uuid,
    p_type        text,
    p_entity      text,
    p_entity_id   uuid,
    p_description text  DEFAULT NULL,
    p_changes     jsonb DEFAULT NULL,
    p_session     uuid  DEFAULT NULL,
    p_ip          text  DEFAULT NULL,
    p_agent       text  DEFAULT NULL,
    p_request     text  DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    new_activity uuid := app.uuid7();
    recorded     timestamptz := clock_timestamp();
BEGIN
    INSERT INTO public.crm_activities (
        id, organization_id, activity_type, entity_type, entity_id, subject_type, subject_id,
        user_id, actor_kind, token_id, session_id, request_id, operation_id,
        record_version, fields, occurred_at, created_at, xid, seq, node)
    VALUES (
        new_activity, p_org, p_type, p_entity, p_entity_id, p_entity, p_entity_id,
        coalesce(app.user_id(), p_user), coalesce(app.context('actor_kind'), 'user'),
        app.context('token_id')::uuid, coalesce(app.context('session_id')::uuid, p_session),
        coalesce(app.context('request_id'), left(p_request, 128)), app.context('operation_id')::uuid,
        NULL, coalesce((SELECT array_agg(key ORDER BY key COLLATE "C") FROM jsonb_object_keys(p_changes) AS key), '{}'),
        recorded, recorded, pg_current_xact_id()::text::bigint, nextval('public.crm_activities_seq'), 0);

    INSERT INTO public.crm_activity_details (organization_id, activity_id, created_at, description, changes, ip, user_agent)
    VALUES (
        p_org, new_activity, recorded, left(p_description, 200), p_changes,
        coalesce(app.context('ip')::inet, app.parse_ip(p_ip)), coalesce(app.context('user_agent'), left(p_agent, 300)));
END
$$;

-- What happens to a person, such as a new password, concerns every organisation that let the person in.
CREATE FUNCTION app.log_person_event(
    p_user        uuid,
    p_type        text,
    p_entity      text,
    p_entity_id   uuid,
    p_description text DEFAULT NULL,
    p_session     uuid DEFAULT NULL,
    p_ip          text DEFAULT NULL,
    p_agent       text DEFAULT NULL,
    p_request     text DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM app.log_event(
                membership.organization_id, p_user, p_type, p_entity, p_entity_id, p_description, NULL,
                p_session, p_ip, p_agent, p_request)
       FROM public.memberships AS membership
       JOIN public.organizations AS organization ON organization.id = membership.organization_id
      WHERE membership.user_id = p_user
        AND membership.status = 'active'
        AND organization.deleted_at IS NULL;
END
$$;

-- What is about security is for owners and admins; the same list stands in the view below.
DROP POLICY org_read ON crm_activities;
CREATE POLICY org_read ON crm_activities FOR SELECT TO crm_app
    USING (organization_id = app.org_id() AND app.role() IS NOT NULL
           AND (app.role() IN ('owner', 'admin')
                OR entity_type NOT IN ('session', 'credential', 'api_token', 'invitation', 'second_factor', 'external_identity')));

CREATE OR REPLACE VIEW q_activities AS
SELECT activity.*,
       detail.description,
       detail.changes,
       detail.metadata,
       CASE WHEN app.is_manager() THEN detail.ip END AS ip,
       CASE WHEN app.is_manager() THEN detail.user_agent END AS user_agent
  FROM (SELECT *
          FROM crm_activities
         WHERE app.is_manager()
            OR entity_type NOT IN ('session', 'credential', 'api_token', 'invitation', 'second_factor', 'external_identity')
       ) AS activity
  LEFT JOIN LATERAL (
       SELECT description, changes, metadata, ip, user_agent
         FROM crm_activity_details
        WHERE organization_id = activity.organization_id
          AND activity_id = activity.id
          AND created_at = activity.created_at
        LIMIT 1) AS detail ON true
 WHERE activity.organization_id = app.org_id()
   AND app.role() IS NOT NULL;

-- ---------------------------------------------------------------- people who are programs

ALTER TABLE users
    ADD COLUMN kind varchar(20) NOT NULL DEFAULT 'person',
    ADD CONSTRAINT users_kind_known CHECK (kind IN ('person', 'service')),
    ALTER COLUMN email DROP NOT NULL,
    ADD CONSTRAINT users_email_person CHECK ((kind = 'person') = (email IS NOT NULL));

CREATE OR REPLACE VIEW q_members AS
SELECT membership.organization_id,
       membership.user_id,
       person.email,
       person.full_name,
       membership.role,
       membership.status,
       membership.title,
       membership.manager_id,
       membership.team_id,
       team.name AS team_name,
       person.time_zone,
       person.locale,
       membership.created_at,
       person.kind,
       membership.updated_at,
       membership.version
  FROM memberships AS membership
  JOIN users AS person
    ON person.id = membership.user_id
  LEFT JOIN teams AS team
    ON team.organization_id = membership.organization_id
   AND team.id = membership.team_id
 WHERE membership.organization_id = app.org_id()
   AND app.role() IS NOT NULL;

-- ---------------------------------------------------------------- organisations

ALTER TABLE organizations ADD COLUMN require_second_factor boolean NOT NULL DEFAULT false;
SELECT app.install_tracking('organizations', 'organization', 'r.name');

-- ---------------------------------------------------------------- API tokens

-- Found by id, compared by hash: the hash is of the token's first signature, so not even the key that signs tokens makes one that
-- this table does not know.
CREATE TABLE identity.api_tokens (
    organization_id uuid         NOT NULL,
    id              uuid         NOT NULL,
    user_id         uuid         NOT NULL,  -- as whom it acts: its maker, or a service user
    name            varchar(100) NOT NULL,
    token_hash      bytea        NOT NULL,
    operations      text[]       NOT NULL DEFAULT '{}',  -- empty: every one that its role may do
    entities        text[]       NOT NULL DEFAULT '{}',  -- empty: every one
    read_only       boolean      NOT NULL DEFAULT false,
    second_factor   boolean      NOT NULL DEFAULT false, -- whether its maker had given one
    created_by_id   uuid         NOT NULL,
    created_at      timestamptz  NOT NULL DEFAULT now(),
    expires_at      timestamptz  NOT NULL,
    last_used_at    timestamptz,
    revoked_at      timestamptz,
    revoked_by_id   uuid,
    CONSTRAINT api_tokens_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT api_tokens_id_key UNIQUE (id),
    CONSTRAINT api_tokens_name_length CHECK (length(btrim(name)) > 0),
    CONSTRAINT api_tokens_token_hash_length CHECK (octet_length(token_hash) = 32),
    CONSTRAINT api_tokens_expires_at_order CHECK (expires_at > created_at),
    CONSTRAINT api_tokens_user_id_fkey FOREIGN KEY (organization_id, user_id)
        REFERENCES memberships (organization_id, user_id),
    CONSTRAINT api_tokens_created_by_id_fkey FOREIGN KEY (organization_id, created_by_id)
        REFERENCES memberships (organization_id, user_id)
);
CREATE INDEX api_tokens_user ON identity.api_tokens (organization_id, user_id);

-- ---------------------------------------------------------------- sessions

ALTER TABLE identity.sessions
    ADD COLUMN method           varchar(20) NOT NULL DEFAULT 'password',
    ADD COLUMN second_factor_at timestamptz,  -- when a second factor was given; NULL: never
    ADD CONSTRAINT sessions_method_known
        CHECK (method IN ('password', 'external', 'switch', 'registration', 'invitation'));

-- ---------------------------------------------------------------- letters

-- Mail that identity wants sent, written in the transaction of its cause: what was promised is sent even if the process dies. No
-- secret lies here: the link's is derived, when the letter is written, from secret_id and a key that the database does not know.
CREATE TABLE identity.letters (
    id          uuid         NOT NULL DEFAULT app.uuid7(),
    kind        varchar(50)  NOT NULL,
    recipient   varchar(255) NOT NULL,
    locale      varchar(35)  NOT NULL DEFAULT 'en',
    secret_id   uuid,
    details     jsonb        NOT NULL DEFAULT '{}',  -- names for its text; no secrets
    created_at  timestamptz  NOT NULL DEFAULT now(),
    expires_at  timestamptz  NOT NULL DEFAULT now() + interval '1 day',
    due_at      timestamptz  NOT NULL DEFAULT now(),
    attempts    integer      NOT NULL DEFAULT 0,
    sent_at     timestamptz,
    failed_at   timestamptz,
    last_error  text,
    CONSTRAINT letters_pkey PRIMARY KEY (id)
);
CREATE INDEX letters_due ON identity.letters (due_at) WHERE sent_at IS NULL AND failed_at IS NULL;

CREATE FUNCTION identity.queue_letter(
    p_kind      text,
    p_recipient text,
    p_locale    text,
    p_secret_id uuid,
    p_details   jsonb,
    p_expires   timestamptz
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    INSERT INTO identity.letters (kind, recipient, locale, secret_id, details, expires_at)
    VALUES (p_kind, p_recipient, coalesce(p_locale, 'en'), p_secret_id, coalesce(p_details, '{}'), p_expires);
END
$$;

DO $$
DECLARE
    secret_table text;
BEGIN
    FOREACH secret_table IN ARRAY ARRAY['api_tokens', 'letters'] LOOP
        EXECUTE format('ALTER TABLE identity.%I OWNER TO crm_owner', secret_table);
        EXECUTE format('ALTER TABLE identity.%I ENABLE ROW LEVEL SECURITY', secret_table);
        EXECUTE format('ALTER TABLE identity.%I FORCE ROW LEVEL SECURITY', secret_table);
        EXECUTE format(
            'CREATE POLICY definer_all ON identity.%I TO crm_definer USING (true) WITH CHECK (true)', secret_table);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON identity.%I TO crm_definer', secret_table);
    END LOOP;
END
$$;
GRANT DELETE ON identity.letters TO crm_definer;

SELECT app.install_tracking('identity.api_tokens', 'api_token', 'r.name', hidden => ARRAY['token_hash', 'last_used_at']);

-- ---------------------------------------------------------------- the first statement of every transaction

DROP FUNCTION app.begin_request(uuid, uuid, uuid, uuid, text, boolean, text, text, text, uuid);

CREATE FUNCTION app.begin_request(
    p_org        uuid,
    p_user       uuid,
    p_session    uuid,
    p_token      uuid,
    p_actor      text,
    p_read_only  boolean,
    p_ip         text,
    p_agent      text,
    p_request    text,
    p_operation  uuid,
    p_token_hash bytea DEFAULT NULL
) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    member_role   text := app.active_role(p_org, p_user);
    second_factor boolean;
    reads_only    boolean := p_read_only;
BEGIN
    IF member_role IS NULL THEN
        RAISE EXCEPTION 'not an active member of this organisation'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'not_a_member';
    END IF;

    IF p_session IS NOT NULL THEN
        SELECT session.second_factor_at IS NOT NULL
          INTO second_factor
          FROM identity.sessions AS session
         WHERE session.id = p_session
           AND session.user_id = p_user
           AND session.organization_id = p_org
           AND session.ended_at IS NULL
           AND session.expires_at > now();
        IF NOT FOUND THEN
            RAISE EXCEPTION 'the session has ended'
                USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'session_ended';
        END IF;
    END IF;

    IF p_token IS NOT NULL THEN
        SELECT token.second_factor OR person.kind = 'service', reads_only OR token.read_only
          INTO second_factor, reads_only
          FROM identity.api_tokens AS token
          JOIN public.users AS person ON person.id = token.user_id
         WHERE token.id = p_token
           AND token.organization_id = p_org
           AND token.user_id = p_user
           AND token.token_hash = p_token_hash
           AND token.revoked_at IS NULL
           AND token.expires_at > now();
        IF NOT FOUND THEN
            RAISE EXCEPTION 'the token has been revoked'
                USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'token_revoked';
        END IF;
    END IF;

    -- Embedded use has neither session nor token; there the embedding program answers for who calls.
    IF second_factor IS FALSE
       AND (SELECT require_second_factor FROM public.organizations WHERE id = p_org)
    THEN
        RAISE EXCEPTION 'this organisation requires a second factor'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'second_factor_required';
    END IF;

    IF p_actor NOT IN ('user', 'service', 'system') THEN
        RAISE EXCEPTION 'unknown kind of actor' USING ERRCODE = 'check_violation', CONSTRAINT = 'actor_kind';
    END IF;

    EXECUTE format(
        'SET LOCAL app.org_id = %L; SET LOCAL app.user_id = %L; SET LOCAL app.role = %L;'
        'SET LOCAL app.session_id = %L; SET LOCAL app.token_id = %L; SET LOCAL app.actor_kind = %L;'
        'SET LOCAL app.ip = %L; SET LOCAL app.user_agent = %L;'
        'SET LOCAL app.request_id = %L; SET LOCAL app.operation_id = %L',
        p_org, p_user, member_role,
        coalesce(p_session::text, ''), coalesce(p_token::text, ''), coalesce(p_actor, 'user'),
        coalesce(host(app.parse_ip(p_ip)), ''), left(coalesce(p_agent, ''), 300),
        left(coalesce(p_request, ''), 128), coalesce(p_operation::text, ''));

    IF reads_only THEN
        SET LOCAL transaction_read_only = on;
    END IF;

    RETURN member_role;
END
$$;

-- ---------------------------------------------------------------- sessions, logged

DROP FUNCTION identity.switch_session(uuid, uuid, bytea, integer, integer, text, text);
DROP FUNCTION identity.start_session(uuid, uuid, bytea, integer, integer, text, text);
DROP FUNCTION identity.rotate_refresh(bytea, bytea, integer);

-- Answers session and role together: one statement for one use case.
CREATE FUNCTION identity.start_session(
    p_user            uuid,
    p_org             uuid,
    p_refresh_hash    bytea,
    p_session_seconds integer,
    p_refresh_seconds integer,
    p_ip              text,
    p_agent           text,
    p_method          text,
    p_second_factor   boolean
) RETURNS TABLE (session_id uuid, role text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    new_session uuid;
    member_role text;
    session_end timestamptz := now() + make_interval(secs => p_session_seconds);
BEGIN
    -- Whoever is suspended or removed at this moment is so before this session, or after it and it ends with the others.
    PERFORM FROM public.memberships WHERE organization_id = p_org AND user_id = p_user FOR SHARE;
    member_role := app.active_role(p_org, p_user);
    IF member_role IS NULL THEN
        RAISE EXCEPTION 'not an active member of this organisation'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'not_a_member';
    END IF;

    INSERT INTO identity.sessions (user_id, organization_id, expires_at, ip, user_agent, method, second_factor_at)
    VALUES (p_user, p_org, session_end, app.parse_ip(p_ip), left(p_agent, 300), p_method,
            CASE WHEN p_second_factor THEN now() END)
    RETURNING id INTO new_session;

    INSERT INTO identity.refresh_tokens (token_hash, session_id, expires_at)
    VALUES (p_refresh_hash, new_session, least(now() + make_interval(secs => p_refresh_seconds), session_end));

    PERFORM app.log_event(
        p_org, p_user, 'login', 'session', new_session, p_method, NULL, new_session, p_ip, p_agent);

    RETURN QUERY SELECT new_session, member_role;
END
$$;

-- Changes a refresh token for a new one. A used one shown again ends its whole session, and that must be committed: so
-- the outcome is an answer and never an error. Of two calls at once with the same token one wins; the other waits for
-- it and then counts as reuse.
CREATE FUNCTION identity.rotate_refresh(
    p_old_hash        bytea,
    p_new_hash        bytea,
    p_refresh_seconds integer
) RETURNS TABLE (outcome text, session_id uuid, user_id uuid, organization_id uuid, role text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    token       identity.refresh_tokens;
    session     identity.sessions;
    member_role text;
BEGIN
    SELECT * INTO token FROM identity.refresh_tokens WHERE token_hash = p_old_hash FOR UPDATE;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'unknown', NULL::uuid, NULL::uuid, NULL::uuid, NULL::text;
        RETURN;
    END IF;
    SELECT * INTO session FROM identity.sessions WHERE id = token.session_id FOR UPDATE;
    member_role := app.active_role(session.organization_id, session.user_id);

    IF token.used_at IS NOT NULL THEN
        UPDATE identity.sessions
           SET ended_at = now(), ended_reason = 'refresh_reused'
         WHERE id = session.id AND ended_at IS NULL;
        IF FOUND THEN
            PERFORM app.log_event(
                session.organization_id, session.user_id, 'session_ended', 'session', session.id,
                'a used refresh token was presented again', NULL, session.id);
        END IF;
        RETURN QUERY SELECT 'reused', session.id, session.user_id, session.organization_id, member_role;
        RETURN;
    END IF;

    IF session.ended_at IS NOT NULL
       OR session.expires_at <= now()
       OR token.expires_at <= now()
       OR member_role IS NULL
    THEN
        RETURN QUERY SELECT 'ended', session.id, session.user_id, session.organization_id, member_role;
        RETURN;
    END IF;

    UPDATE identity.refresh_tokens SET used_at = now() WHERE token_hash = p_old_hash;
    INSERT INTO identity.refresh_tokens (token_hash, session_id, expires_at)
    VALUES (p_new_hash, session.id, least(now() + make_interval(secs => p_refresh_seconds), session.expires_at));
    UPDATE identity.sessions SET last_used_at = now() WHERE id = session.id;

    RETURN QUERY SELECT 'rotated', session.id, session.user_id, session.organization_id, member_role;
END
$$;

CREATE OR REPLACE FUNCTION identity.end_session(p_session uuid, p_reason text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    ended identity.sessions;
BEGIN
    UPDATE identity.sessions
       SET ended_at = now(), ended_reason = left(coalesce(p_reason, 'ended'), 50)
     WHERE id = p_session AND ended_at IS NULL
    RETURNING * INTO ended;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM app.log_event(
        ended.organization_id, ended.user_id, CASE p_reason WHEN 'logout' THEN 'logout' ELSE 'session_ended' END,
        'session', ended.id, p_reason, NULL, ended.id);
    RETURN true;
END
$$;

-- Ends the sessions of a person, in one organisation or in all of them, but for one that may go on. For the functions of identity; says how many.
CREATE FUNCTION identity.end_sessions(p_user uuid, p_org uuid, p_except uuid, p_reason text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    ended integer := 0;
    open  record;
BEGIN
    FOR open IN
        SELECT id
          FROM identity.sessions
         WHERE user_id = p_user
           AND (p_org IS NULL OR organization_id = p_org)
           AND id IS DISTINCT FROM p_except
           AND ended_at IS NULL
         ORDER BY id
    LOOP
        IF identity.end_session(open.id, p_reason) THEN
            ended := ended + 1;
        END IF;
    END LOOP;
    RETURN ended;
END
$$;

-- A further session of the same person in another of their organisations, with the second factor that the first one had. The first
-- one stays.
CREATE FUNCTION identity.switch_session(
    p_session         uuid,
    p_org             uuid,
    p_refresh_hash    bytea,
    p_session_seconds integer,
    p_refresh_seconds integer,
    p_ip              text,
    p_agent           text
) RETURNS TABLE (session_id uuid, role text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    first identity.sessions;
BEGIN
    SELECT session.*
      INTO first
      FROM identity.sessions AS session
     WHERE session.id = p_session
       AND session.ended_at IS NULL
       AND session.expires_at > now();
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the session has ended'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'session_ended';
    END IF;
    RETURN QUERY
        SELECT started.session_id, started.role
          FROM identity.start_session(
                   first.user_id, p_org, p_refresh_hash, p_session_seconds, p_refresh_seconds, p_ip, p_agent, 'switch',
                   first.second_factor_at IS NOT NULL) AS started;
END
$$;

SELECT app.seal_functions();
GRANT EXECUTE ON FUNCTION app.begin_request(uuid, uuid, uuid, uuid, text, boolean, text, text, text, uuid, bytea) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.start_session(uuid, uuid, bytea, integer, integer, text, text, text, boolean) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.rotate_refresh(bytea, bytea, integer) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.switch_session(uuid, uuid, bytea, integer, integer, text, text) TO crm_app;
