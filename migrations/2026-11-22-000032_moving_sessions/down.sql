-- A switch leaves the first session alive again; a seed waits for ever; three sign-ups of anybody are all of an address.
DROP FUNCTION identity.request_registration(uuid, bytea, text, text, text, text, text, boolean, text, text, text, text, boolean, text);
CREATE FUNCTION identity.request_registration(
    p_id                uuid,
    p_secret_hash       bytea,
    p_email             text,
    p_password_hash     text,
    p_full_name         text,
    p_organization_name text,
    p_slug              text,
    p_slug_chosen       boolean,
    p_time_zone         text,
    p_country           text,
    p_currency          text,
    p_locale            text,
    p_wants_letter      boolean
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    address  text := lower(p_email);
    is_known boolean;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('identity.registrations ' || address, 0));
    IF (SELECT count(*) FROM identity.registrations WHERE email = address AND created_at > now() - interval '1 hour') >= 3 THEN
        RETURN;
    END IF;
    is_known := EXISTS (SELECT FROM public.users WHERE email = address);

    INSERT INTO identity.registrations (
        id, email, password_hash, full_name, organization_name, slug, slug_chosen, time_zone, country, default_currency, locale,
        secret_hash, used_at)
    VALUES (
        p_id, address, p_password_hash, p_full_name, p_organization_name, p_slug, p_slug_chosen, p_time_zone, p_country, p_currency,
        p_locale, p_secret_hash, CASE WHEN is_known THEN now() END);

    -- A letter to somebody who has an account repeats nothing that a stranger has typed.
    IF is_known THEN
        PERFORM identity.queue_letter('already_registered', address, p_locale, NULL, NULL, now() + interval '24 hours');
    ELSIF p_wants_letter THEN
        PERFORM identity.queue_letter(
            'confirm_registration', address, p_locale, p_id, jsonb_build_object('organization', p_organization_name),
            now() + interval '24 hours');
    END IF;
END
$$;

ALTER TABLE identity.registrations DROP COLUMN source;

DROP FUNCTION app.leave_organization();
CREATE FUNCTION app.leave_organization() RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    UPDATE public.memberships
       SET status = 'removed'
     WHERE organization_id = app.org_id() AND user_id = app.user_id() AND status = 'active';
    RETURN FOUND;
END
$$;

CREATE OR REPLACE FUNCTION identity.replace_password(p_user uuid, p_password_hash text, p_event text, p_ip text, p_agent text, p_request text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    INSERT INTO identity.credentials AS credential (user_id, password_hash)
    VALUES (p_user, p_password_hash)
    ON CONFLICT (user_id) DO UPDATE SET password_hash = excluded.password_hash, changed_at = now();
    -- A seed that was begun by whoever knew the old one must not be confirmed by them later.
    UPDATE identity.second_factors SET pending_seed = NULL WHERE user_id = p_user AND pending_seed IS NOT NULL;
    UPDATE identity.links SET used_at = now() WHERE user_id = p_user AND used_at IS NULL;
    PERFORM identity.end_sessions(p_user, NULL, NULL, p_event);
    PERFORM app.log_person_event(p_user, p_event, 'credential', p_user, NULL, NULL, p_ip, p_agent, p_request);
    PERFORM identity.queue_letter(
                'password_changed', email, locale, NULL, jsonb_build_object('name', full_name), now() + interval '24 hours')
       FROM public.users
      WHERE id = p_user AND email IS NOT NULL;
END
$$;

CREATE OR REPLACE FUNCTION identity.confirm_second_factor(
    p_session uuid,
    p_user    uuid,
    p_org     uuid,
    p_ip      text,
    p_agent   text,
    p_request text,
    p_seed    bytea,
    p_step    bigint,
    p_codes   bytea[]
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    was_enabled boolean;
BEGIN
    -- A login that asks for no code is over by now and its session ends below, or it comes later and is asked for one.
    PERFORM identity.hold_person(p_user);
    PERFORM identity.enter_session(p_session, p_user, p_org, p_ip, p_agent, p_request);
    SELECT enabled_at IS NOT NULL
      INTO was_enabled
      FROM identity.second_factors
     WHERE user_id = p_user AND pending_seed = p_seed
       FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no seed waits for a code'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'second_factor_not_begun';
    END IF;

    UPDATE identity.second_factors
       SET sealed_seed = pending_seed, pending_seed = NULL, enabled_at = now(), last_step = p_step
     WHERE user_id = p_user;
    UPDATE identity.sessions SET second_factor_at = now() WHERE id = p_session;
    PERFORM identity.store_recovery_codes(p_user, p_codes);
    IF NOT was_enabled THEN
        PERFORM identity.end_sessions(p_user, NULL, p_session, 'second_factor_enabled');
    END IF;
    PERFORM identity.tell_second_factor(
        p_user, CASE WHEN was_enabled THEN 'second_factor_replaced' ELSE 'second_factor_enabled' END);
END
$$;

CREATE OR REPLACE FUNCTION identity.begin_second_factor(
    p_session  uuid,
    p_user     uuid,
    p_org      uuid,
    p_ip       text,
    p_agent    text,
    p_request  text,
    p_step     bigint,
    p_recovery bytea,
    p_seed     bytea
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM identity.enter_session(p_session, p_user, p_org, p_ip, p_agent, p_request);
    INSERT INTO identity.second_factors (user_id) VALUES (p_user) ON CONFLICT (user_id) DO NOTHING;
    PERFORM identity.use_second_factor(p_user, p_step, p_recovery);
    UPDATE identity.second_factors SET pending_seed = p_seed WHERE user_id = p_user;
END
$$;

CREATE OR REPLACE FUNCTION identity.read_second_factor(p_session uuid, p_user uuid, p_org uuid)
RETURNS TABLE (
    email         text,
    password_hash text,
    pending_seed  bytea,
    sealed_seed   bytea,
    enabled_at    timestamptz,
    codes_left    integer,
    required      boolean,
    proved        boolean,
    now_seconds   bigint
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM identity.check_session(p_session, p_user, p_org);
    RETURN QUERY
        SELECT person.email::text, credential.password_hash, factor.pending_seed, factor.sealed_seed, factor.enabled_at,
               (SELECT count(*)::integer FROM identity.recovery_codes AS code WHERE code.user_id = p_user AND code.used_at IS NULL),
               identity.requires_second_factor(p_user),
               (SELECT session.second_factor_at IS NOT NULL FROM identity.sessions AS session WHERE session.id = p_session),
               extract(epoch FROM clock_timestamp())::bigint
          FROM public.users AS person
          LEFT JOIN identity.credentials AS credential ON credential.user_id = person.id
          LEFT JOIN identity.second_factors AS factor ON factor.user_id = person.id
         WHERE person.id = p_user;
END
$$;

DROP FUNCTION identity.pending_seed(uuid, uuid);
ALTER TABLE identity.second_factors
    DROP CONSTRAINT second_factors_pending_seed_bound,
    DROP COLUMN pending_login,
    DROP COLUMN pending_at;

DROP FUNCTION identity.end_reused(bytea);
DROP FUNCTION identity.join_by_invitation(uuid, bytea, uuid, bytea, bytea, integer, integer, text, text);
CREATE FUNCTION identity.join_by_invitation(p_secret_id uuid, p_secret_hash bytea) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    taken identity.invitations := identity.take_invitation(p_secret_id, p_secret_hash);
BEGIN
    IF NOT EXISTS (
        SELECT FROM public.users WHERE id = app.user_id() AND email = taken.email AND deleted_at IS NULL)
    THEN
        RAISE EXCEPTION 'the invitation is for somebody else'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'invitation_of_another';
    END IF;
    PERFORM identity.enter_by_invitation(taken, app.user_id());
    RETURN taken.organization_id;
END
$$;

CREATE OR REPLACE FUNCTION identity.switch_session(
    p_session         uuid,
    p_user            uuid,
    p_known_hash      bytea,  -- of a refresh token of that session; it stays good
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
    first       identity.sessions;
    new_session uuid;
    member_role text;
BEGIN
    PERFORM identity.hold_person(p_user);
    SELECT session.*
      INTO first
      FROM identity.sessions AS session
     WHERE session.id = p_session
       AND session.user_id = p_user
       AND session.ended_at IS NULL
       AND session.expires_at > now()
       FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the session has ended'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'session_ended';
    END IF;
    -- An access token is good for minutes. Without this it could be changed for a session of months.
    IF NOT EXISTS (
        SELECT FROM identity.refresh_tokens
         WHERE token_hash = p_known_hash AND refresh_tokens.session_id = p_session AND used_at IS NULL AND expires_at > now())
    THEN
        RAISE EXCEPTION 'no refresh token of this session'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'refresh_refused';
    END IF;
    IF app.active_role(p_org, p_user) IS NULL THEN
        RAISE EXCEPTION 'not a member there'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'organization_unknown';
    END IF;

    SELECT started.session_id, started.role
      INTO new_session, member_role
      FROM identity.start_session(
               p_user, p_org, p_refresh_hash, p_session_seconds, p_refresh_seconds, p_ip, p_agent, 'switch',
               first.second_factor_at IS NOT NULL) AS started;
    -- Looked for with the membership held: a manager has ended the person's sessions here since that login, and another one is needed.
    IF EXISTS (
        SELECT FROM identity.sessions AS past
         WHERE past.user_id = p_user
           AND past.organization_id = p_org
           AND past.ended_reason = 'ended_by_manager'
           AND past.ended_at > first.login_at)
    THEN
        RAISE EXCEPTION 'the login has ended here'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'session_ended';
    END IF;
    -- It is the same login: it began then, ends no later, and ends with it.
    UPDATE identity.sessions AS session
       SET login_id = first.login_id,
           login_at = first.login_at,
           expires_at = least(session.expires_at, first.expires_at, first.login_at + make_interval(days => organization.session_days))
      FROM public.organizations AS organization
     WHERE session.id = new_session AND organization.id = p_org;
    UPDATE identity.refresh_tokens AS token
       SET expires_at = least(token.expires_at, session.expires_at)
      FROM identity.sessions AS session
     WHERE token.session_id = new_session AND session.id = new_session;
    RETURN QUERY SELECT new_session, member_role;
END
$$;

DROP FUNCTION identity.move_session(identity.sessions, uuid, bytea, integer, integer, text, text);
DROP FUNCTION identity.spend_refresh(uuid, uuid, bytea);

CREATE OR REPLACE FUNCTION identity.end_own_session(
    p_session uuid,
    p_user    uuid,
    p_org     uuid,
    p_ip      text,
    p_agent   text,
    p_request text,
    p_target  uuid
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM identity.enter_session(p_session, p_user, p_org, p_ip, p_agent, p_request);
    IF NOT EXISTS (
        SELECT FROM identity.sessions WHERE id = p_target AND user_id = p_user AND ended_at IS NULL AND expires_at > now())
    THEN
        RETURN false;
    END IF;
    PERFORM identity.hold_person(p_user);
    RETURN identity.end_login(p_target, nullif(p_session, p_target), 'revoked') > 0;
END
$$;

CREATE OR REPLACE FUNCTION identity.end_member_sessions(p_member uuid) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    member_role text;
BEGIN
    -- Locked, as whoever opens a session here holds it.
    SELECT role
      INTO member_role
      FROM public.memberships
     WHERE organization_id = app.org_id() AND user_id = p_member
       FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN 'unknown';
    END IF;
    IF NOT app.is_manager() OR (member_role = 'owner' AND app.role() <> 'owner') THEN
        RETURN 'forbidden';
    END IF;
    PERFORM identity.end_sessions(p_member, app.org_id(), NULL, 'ended_by_manager');
    RETURN 'ended';
END
$$;

CREATE OR REPLACE FUNCTION identity.disable_second_factor(
    p_session  uuid,
    p_user     uuid,
    p_org      uuid,
    p_ip       text,
    p_agent    text,
    p_request  text,
    p_step     bigint,
    p_recovery bytea
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM identity.enter_session(p_session, p_user, p_org, p_ip, p_agent, p_request);
    IF NOT identity.use_second_factor(p_user, p_step, p_recovery) THEN
        RAISE EXCEPTION 'there is no second factor'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'second_factor_not_begun';
    END IF;
    IF identity.requires_second_factor(p_user) THEN
        RAISE EXCEPTION 'an organisation of this person requires a second factor'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'second_factor_needed';
    END IF;
    DELETE FROM identity.recovery_codes WHERE user_id = p_user;
    DELETE FROM identity.second_factors WHERE user_id = p_user;
    UPDATE identity.sessions SET second_factor_at = NULL WHERE user_id = p_user AND ended_at IS NULL;
    UPDATE identity.api_tokens SET second_factor = false WHERE user_id = p_user AND second_factor;
    PERFORM identity.tell_second_factor(p_user, 'second_factor_disabled');
END
$$;

CREATE OR REPLACE FUNCTION identity.create_api_token(
    p_token      uuid,
    p_user       uuid,
    p_name       text,
    p_hash       bytea,
    p_operations text[],
    p_entities   text[],
    p_read_only  boolean,
    p_expires    timestamptz
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    longest CONSTANT interval := interval '366 days';
    most    CONSTANT integer  := 100;
    kind    text;
    rank    text;
BEGIN
    PERFORM identity.refuse_api_tokens();

    -- The caller's own membership before all else, and the role read anew: whoever is being removed or demoted at this moment waits
    -- for that, and is refused then. A token that was not committed yet would be missed by identity.revoke_made_tokens.
    PERFORM FROM public.memberships WHERE organization_id = app.org_id() AND user_id = app.user_id() FOR NO KEY UPDATE;
    rank := app.active_role(app.org_id(), app.user_id());
    IF rank IS NULL THEN
        RAISE EXCEPTION 'not an active member of this organisation'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'not_a_member';
    END IF;

    -- Locked, so that two requests at once do not both find the last place free.
    SELECT person.kind
      INTO kind
      FROM public.memberships AS membership
      JOIN public.users AS person ON person.id = membership.user_id
     WHERE membership.organization_id = app.org_id()
       AND membership.user_id = p_user
       AND membership.status = 'active'
       AND person.deleted_at IS NULL
       FOR NO KEY UPDATE OF membership;

    IF kind IS NULL OR NOT (p_user = app.user_id() OR kind = 'service' AND rank IN ('owner', 'admin')) THEN
        RAISE EXCEPTION 'tokens are made for oneself or for a service user'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'api_token_of_another';
    END IF;

    IF p_expires > now() + longest THEN
        RAISE EXCEPTION 'a token lives a year at most'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'token_expiry', COLUMN = 'expires_at';
    END IF;

    IF (SELECT count(*)
          FROM identity.api_tokens
         WHERE organization_id = app.org_id()
           AND user_id = p_user
           AND revoked_at IS NULL
           AND expires_at > now()) >= most
    THEN
        RAISE EXCEPTION 'too many tokens'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'too_many_tokens';
    END IF;

    INSERT INTO identity.api_tokens (
        organization_id, id, user_id, name, token_hash, operations, entities, read_only, second_factor, created_by_id, expires_at)
    VALUES (
        app.org_id(), p_token, p_user, p_name, p_hash, p_operations, p_entities, p_read_only,
        EXISTS (SELECT
                  FROM identity.sessions
                 WHERE id = app.context('session_id')::uuid
                   AND second_factor_at IS NOT NULL),
        app.user_id(), p_expires);
    RETURN true;
END
$$;

SELECT app.seal_functions();
GRANT EXECUTE ON FUNCTION identity.join_by_invitation(uuid, bytea) TO crm_app;
GRANT EXECUTE ON FUNCTION app.leave_organization() TO crm_app;
GRANT EXECUTE ON FUNCTION identity.request_registration(
    uuid, bytea, text, text, text, text, text, boolean, text, text, text, text, boolean) TO crm_app;
