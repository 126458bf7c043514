-- Identity: passwords, sessions, refresh tokens, and the functions that are the only way to them; app.begin_request,
-- the first statement of every transaction; and what an administrator needs to make organisations and people.
--
-- What must stay true:
--   * crm_app reads and writes no table of this schema. Secrets are stored hashed and are used once.
--   * The role in a token is a hint; app.begin_request looks the true one up, so a demoted or removed member loses
--     access with the next request, and an ended session ends at once.
--   * Nothing here enters the log.

CREATE SCHEMA identity AUTHORIZATION crm_owner;
GRANT CREATE, USAGE ON SCHEMA identity TO crm_definer;
GRANT USAGE ON SCHEMA identity TO crm_app;  -- to call functions; the tables are not granted

-- ---------------------------------------------------------------- tables

CREATE TABLE identity.credentials (
    user_id       uuid        NOT NULL,
    password_hash text        NOT NULL,
    changed_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT credentials_pkey PRIMARY KEY (user_id),
    CONSTRAINT credentials_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users (id)
);

CREATE TABLE identity.sessions (
    id              uuid        NOT NULL DEFAULT app.uuid7(),
    user_id         uuid        NOT NULL,
    organization_id uuid        NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    expires_at      timestamptz NOT NULL,
    last_used_at    timestamptz NOT NULL DEFAULT now(),  -- moved by rotation, not by requests: those stay free of writes
    ended_at        timestamptz,
    ended_reason    varchar(50),
    ip              inet,
    user_agent      text,
    CONSTRAINT sessions_pkey PRIMARY KEY (id),
    CONSTRAINT sessions_ended_reason_given CHECK ((ended_at IS NULL) = (ended_reason IS NULL)),
    CONSTRAINT sessions_user_id_fkey FOREIGN KEY (organization_id, user_id)
        REFERENCES public.memberships (organization_id, user_id)
);
CREATE INDEX sessions_user ON identity.sessions (user_id) WHERE ended_at IS NULL;

-- All tokens of a session are one family: a used one that is shown again means that somebody copied it.
CREATE TABLE identity.refresh_tokens (
    token_hash bytea       NOT NULL,
    session_id uuid        NOT NULL,
    issued_at  timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at    timestamptz,
    CONSTRAINT refresh_tokens_pkey PRIMARY KEY (token_hash),
    CONSTRAINT refresh_tokens_token_hash_length CHECK (octet_length(token_hash) BETWEEN 16 AND 64),
    CONSTRAINT refresh_tokens_session_id_fkey FOREIGN KEY (session_id) REFERENCES identity.sessions (id)
);
CREATE INDEX refresh_tokens_session ON identity.refresh_tokens (session_id);

DO $$
DECLARE
    secret_table text;
BEGIN
    FOREACH secret_table IN ARRAY ARRAY['credentials', 'sessions', 'refresh_tokens'] LOOP
        EXECUTE format('ALTER TABLE identity.%I OWNER TO crm_owner', secret_table);
        EXECUTE format('ALTER TABLE identity.%I ENABLE ROW LEVEL SECURITY', secret_table);
        EXECUTE format('ALTER TABLE identity.%I FORCE ROW LEVEL SECURITY', secret_table);
        EXECUTE format(
            'CREATE POLICY definer_all ON identity.%I TO crm_definer USING (true) WITH CHECK (true)', secret_table);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON identity.%I TO crm_definer', secret_table);
    END LOOP;
END
$$;

-- ---------------------------------------------------------------- who may come in

-- The role of an active member of a live organisation; NULL for everybody else.
CREATE FUNCTION app.active_role(p_org uuid, p_user uuid) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    RETURN (
        SELECT membership.role
          FROM public.memberships AS membership
          JOIN public.users AS person ON person.id = membership.user_id
          JOIN public.organizations AS organization ON organization.id = membership.organization_id
         WHERE membership.organization_id = p_org
           AND membership.user_id = p_user
           AND membership.status = 'active'
           AND person.deleted_at IS NULL
           AND organization.deleted_at IS NULL);
END
$$;

-- An address as a client reported it, or NULL: a bad one must not refuse a request.
CREATE FUNCTION app.parse_ip(p_ip text) RETURNS inet
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF p_ip IS NULL OR length(p_ip) > 50 THEN
        RETURN NULL;
    END IF;
    RETURN p_ip::inet;
EXCEPTION WHEN invalid_text_representation THEN
    RETURN NULL;
END
$$;

-- The first statement of every transaction: who, where, and as what. Answers the role that memberships holds. SET
-- LOCAL, so that nothing outlives the transaction, and in a cluster it reaches the other nodes, which set_config does
-- not.
CREATE FUNCTION app.begin_request(
    p_org       uuid,
    p_user      uuid,
    p_session   uuid,
    p_token     uuid,
    p_actor     text,
    p_read_only boolean,
    p_ip        text,
    p_agent     text,
    p_request   text,
    p_operation uuid
) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    member_role text := app.active_role(p_org, p_user);
BEGIN
    IF member_role IS NULL THEN
        RAISE EXCEPTION 'not an active member of this organisation'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'not_a_member';
    END IF;

    IF p_session IS NOT NULL AND NOT EXISTS (
        SELECT FROM identity.sessions
         WHERE id = p_session
           AND user_id = p_user
           AND organization_id = p_org
           AND ended_at IS NULL
           AND expires_at > now())
    THEN
        RAISE EXCEPTION 'the session has ended'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'session_ended';
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

    IF p_read_only THEN
        SET LOCAL transaction_read_only = on;
    END IF;

    RETURN member_role;
END
$$;

-- ---------------------------------------------------------------- signing in

CREATE FUNCTION identity.find_login(p_email text)
RETURNS TABLE (user_id uuid, password_hash text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    RETURN QUERY
        SELECT credential.user_id, credential.password_hash
          FROM public.users AS person
          JOIN identity.credentials AS credential ON credential.user_id = person.id
         WHERE person.email = lower(p_email)
           AND person.deleted_at IS NULL;
END
$$;

CREATE FUNCTION identity.list_organizations(p_user uuid)
RETURNS TABLE (organization_id uuid, name text, slug text, role text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    RETURN QUERY
        SELECT organization.id, organization.name::text, organization.slug::text, membership.role::text
          FROM public.memberships AS membership
          JOIN public.organizations AS organization ON organization.id = membership.organization_id
          JOIN public.users AS person ON person.id = membership.user_id
         WHERE membership.user_id = p_user
           AND membership.status = 'active'
           AND organization.deleted_at IS NULL
           AND person.deleted_at IS NULL
         ORDER BY membership.created_at, organization.id
         LIMIT 200;
END
$$;

CREATE FUNCTION identity.start_session(
    p_user            uuid,
    p_org             uuid,
    p_refresh_hash    bytea,
    p_session_seconds integer,
    p_refresh_seconds integer,
    p_ip              text,
    p_agent           text
) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    new_session uuid;
    session_end timestamptz := now() + make_interval(secs => p_session_seconds);
BEGIN
    IF app.active_role(p_org, p_user) IS NULL THEN
        RAISE EXCEPTION 'not an active member of this organisation'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'not_a_member';
    END IF;

    INSERT INTO identity.sessions (user_id, organization_id, expires_at, ip, user_agent)
    VALUES (p_user, p_org, session_end, app.parse_ip(p_ip), left(p_agent, 300))
    RETURNING id INTO new_session;

    INSERT INTO identity.refresh_tokens (token_hash, session_id, expires_at)
    VALUES (p_refresh_hash, new_session, least(now() + make_interval(secs => p_refresh_seconds), session_end));

    RETURN new_session;
END
$$;

-- Changes a refresh token for a new one. A used one shown again ends its whole session, and that must be committed: so
-- the outcome is an answer and never an error. Of two calls at once with the same token one wins; the other waits for
-- it and then counts as reuse.
CREATE FUNCTION identity.rotate_refresh(
    p_old_hash        bytea,
    p_new_hash        bytea,
    p_refresh_seconds integer
) RETURNS TABLE (outcome text, session_id uuid, user_id uuid, organization_id uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    token   identity.refresh_tokens;
    session identity.sessions;
BEGIN
    SELECT * INTO token FROM identity.refresh_tokens WHERE token_hash = p_old_hash FOR UPDATE;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'unknown', NULL::uuid, NULL::uuid, NULL::uuid;
        RETURN;
    END IF;
    SELECT * INTO session FROM identity.sessions WHERE id = token.session_id FOR UPDATE;

    IF token.used_at IS NOT NULL THEN
        UPDATE identity.sessions
           SET ended_at = now(), ended_reason = 'refresh_reused'
         WHERE id = session.id AND ended_at IS NULL;
        RETURN QUERY SELECT 'reused', session.id, session.user_id, session.organization_id;
        RETURN;
    END IF;

    IF session.ended_at IS NOT NULL
       OR session.expires_at <= now()
       OR token.expires_at <= now()
       OR app.active_role(session.organization_id, session.user_id) IS NULL
    THEN
        RETURN QUERY SELECT 'ended', session.id, session.user_id, session.organization_id;
        RETURN;
    END IF;

    UPDATE identity.refresh_tokens SET used_at = now() WHERE token_hash = p_old_hash;
    INSERT INTO identity.refresh_tokens (token_hash, session_id, expires_at)
    VALUES (p_new_hash, session.id, least(now() + make_interval(secs => p_refresh_seconds), session.expires_at));
    UPDATE identity.sessions SET last_used_at = now() WHERE id = session.id;

    RETURN QUERY SELECT 'rotated', session.id, session.user_id, session.organization_id;
END
$$;

-- True when this call ended it, false when it had ended before or never was.
CREATE FUNCTION identity.end_session(p_session uuid, p_reason text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    UPDATE identity.sessions
       SET ended_at = now(), ended_reason = left(coalesce(p_reason, 'ended'), 50)
     WHERE id = p_session AND ended_at IS NULL;
    RETURN FOUND;
END
$$;

-- A further session of the same person in another of their organisations. The first one stays.
CREATE FUNCTION identity.switch_session(
    p_session         uuid,
    p_org             uuid,
    p_refresh_hash    bytea,
    p_session_seconds integer,
    p_refresh_seconds integer,
    p_ip              text,
    p_agent           text
) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    person uuid;
BEGIN
    SELECT session.user_id
      INTO person
      FROM identity.sessions AS session
     WHERE session.id = p_session
       AND session.ended_at IS NULL
       AND session.expires_at > now();
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the session has ended'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'session_ended';
    END IF;
    RETURN identity.start_session(
        person, p_org, p_refresh_hash, p_session_seconds, p_refresh_seconds, p_ip, p_agent);
END
$$;

-- ---------------------------------------------------------------- for the administrator's connection; not granted to crm_app

-- The person with this address, made when there is none. The name and password of somebody who exists are left alone.
CREATE FUNCTION app.ensure_user(p_email text, p_full_name text, p_password_hash text) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    person  uuid;
    deleted timestamptz;
BEGIN
    INSERT INTO public.users (email, full_name)
    VALUES (lower(p_email), coalesce(p_full_name, ''))
    ON CONFLICT (email) DO NOTHING
    RETURNING id INTO person;

    IF person IS NULL THEN
        SELECT id, deleted_at INTO person, deleted FROM public.users WHERE email = lower(p_email);
        IF deleted IS NOT NULL THEN
            RAISE EXCEPTION 'this person was deleted'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'user_deleted', COLUMN = 'email';
        END IF;
    END IF;

    IF p_password_hash IS NOT NULL THEN
        INSERT INTO identity.credentials (user_id, password_hash)
        VALUES (person, p_password_hash)
        ON CONFLICT (user_id) DO NOTHING;
    END IF;
    RETURN person;
END
$$;

CREATE FUNCTION app.create_organization(
    p_name          text,
    p_slug          text,
    p_currency      text,
    p_time_zone     text,
    p_owner_email   text,
    p_owner_name    text,
    p_password_hash text
) RETURNS TABLE (organization_id uuid, user_id uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    new_org uuid;
    person  uuid := app.ensure_user(p_owner_email, p_owner_name, p_password_hash);
BEGIN
    -- A CHECK cannot ask this view; an unknown zone would fail every question about today.
    IF NOT EXISTS (SELECT FROM pg_timezone_names WHERE name = coalesce(p_time_zone, 'UTC')) THEN
        RAISE EXCEPTION 'unknown time zone'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'time_zone_unknown', COLUMN = 'time_zone';
    END IF;

    INSERT INTO public.organizations (name, slug, default_currency, time_zone)
    VALUES (p_name, p_slug, coalesce(p_currency, 'USD'), coalesce(p_time_zone, 'UTC'))
    RETURNING id INTO new_org;

    INSERT INTO public.memberships (organization_id, user_id, role)
    VALUES (new_org, person, 'owner');

    RETURN QUERY SELECT new_org, person;
END
$$;

CREATE FUNCTION app.add_member(
    p_org           uuid,
    p_email         text,
    p_full_name     text,
    p_role          text,
    p_title         text,
    p_manager       uuid,
    p_team          uuid,
    p_password_hash text
) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    person uuid := app.ensure_user(p_email, p_full_name, p_password_hash);
BEGIN
    INSERT INTO public.memberships (organization_id, user_id, role, title, manager_id, team_id)
    VALUES (p_org, person, p_role, p_title, p_manager, p_team);
    RETURN person;
END
$$;

CREATE FUNCTION app.add_team(p_org uuid, p_name text, p_manager uuid) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    new_team uuid;
BEGIN
    INSERT INTO public.teams (organization_id, name, manager_id)
    VALUES (p_org, p_name, p_manager)
    RETURNING id INTO new_team;
    RETURN new_team;
END
$$;

SELECT app.seal_functions();
GRANT EXECUTE ON FUNCTION app.begin_request(uuid, uuid, uuid, uuid, text, boolean, text, text, text, uuid) TO crm_app;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA identity TO crm_app;
