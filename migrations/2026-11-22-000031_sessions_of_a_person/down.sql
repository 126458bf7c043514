-- Sessions are one by one again, and nothing holds the person.
DROP TRIGGER revoke_made_tokens ON memberships;
DROP INDEX identity.sessions_ended_by_manager;
CREATE OR REPLACE FUNCTION identity.end_member_sessions(p_member uuid) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    member_role text;
BEGIN
    SELECT role INTO member_role FROM public.memberships WHERE organization_id = app.org_id() AND user_id = p_member;
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
BEGIN
    PERFORM identity.refuse_api_tokens();

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

    IF kind IS NULL OR NOT (p_user = app.user_id() OR kind = 'service' AND app.is_manager()) THEN
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

CREATE OR REPLACE FUNCTION identity.replace_password(p_user uuid, p_password_hash text, p_event text, p_ip text, p_agent text, p_request text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    INSERT INTO identity.credentials AS credential (user_id, password_hash)
    VALUES (p_user, p_password_hash)
    ON CONFLICT (user_id) DO UPDATE SET password_hash = excluded.password_hash, changed_at = now();
    UPDATE identity.links SET used_at = now() WHERE user_id = p_user AND used_at IS NULL;
    PERFORM identity.end_sessions(p_user, NULL, NULL, p_event);
    PERFORM app.log_person_event(p_user, p_event, 'credential', p_user, NULL, NULL, p_ip, p_agent, p_request);
    PERFORM identity.queue_letter(
                'password_changed', email, locale, NULL, jsonb_build_object('name', full_name), now() + interval '24 hours')
       FROM public.users
      WHERE id = p_user AND email IS NOT NULL;
END
$$;

DROP FUNCTION identity.revoke_made_tokens();
DROP FUNCTION identity.reenter(uuid, text, uuid, bytea, integer, integer, text, text, boolean);
DROP FUNCTION identity.switch_session(uuid, uuid, bytea, uuid, bytea, integer, integer, text, text);

CREATE OR REPLACE FUNCTION identity.limit_invitations(p_org uuid, p_email text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM identity.hold_invitations(p_org);
    IF (SELECT count(*)
          FROM identity.invitations AS invitation
         CROSS JOIN unnest(invitation.sent_lately) AS sent (at)
         WHERE invitation.organization_id = p_org
           AND invitation.email = p_email
           AND sent.at > now() - interval '1 hour') >= 5
       OR (SELECT count(*)
             FROM identity.invitations
            WHERE organization_id = p_org
              AND sent_at > now() - interval '1 hour') >= 500
    THEN
        RAISE EXCEPTION 'too many letters within an hour'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'invitation_letters_limited';
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION identity.confirm_email_change(p_id uuid, p_secret_hash bytea, p_ip text, p_agent text, p_request text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    link   identity.links;
    person public.users;
BEGIN
    PERFORM identity.hold_person_of_link(p_id, p_secret_hash);
    SELECT * INTO link
      FROM identity.links
     WHERE id = p_id AND secret_hash = p_secret_hash AND purpose = 'confirm_email'
       FOR UPDATE;
    IF NOT FOUND OR link.used_at IS NOT NULL OR link.expires_at <= now() THEN
        RETURN false;
    END IF;
    SELECT * INTO person FROM public.users WHERE id = link.user_id AND deleted_at IS NULL FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE public.users SET email = link.email, updated_at = now() WHERE id = person.id;
    -- What was sent to the old address opens nothing from now on.
    UPDATE identity.links SET used_at = now() WHERE user_id = person.id AND used_at IS NULL;
    PERFORM app.log_person_event(person.id, 'email_changed', 'credential', person.id, NULL, NULL, p_ip, p_agent, p_request);
    PERFORM identity.queue_letter(
        'email_changed', person.email, person.locale, NULL, jsonb_build_object('name', person.full_name),
        now() + interval '24 hours');
    RETURN true;
END
$$;

CREATE OR REPLACE FUNCTION identity.reset_password(
    p_id            uuid,
    p_secret_hash   bytea,
    p_password_hash text,
    p_ip            text,
    p_agent         text,
    p_request       text
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    link identity.links;
BEGIN
    PERFORM identity.hold_person_of_link(p_id, p_secret_hash);
    SELECT * INTO link
      FROM identity.links
     WHERE id = p_id AND secret_hash = p_secret_hash AND purpose = 'reset_password'
       FOR UPDATE;
    IF NOT FOUND
       OR link.used_at IS NOT NULL
       OR link.expires_at <= now()
       OR NOT EXISTS (SELECT FROM public.users WHERE id = link.user_id AND deleted_at IS NULL)
    THEN
        RETURN false;
    END IF;
    PERFORM identity.replace_password(link.user_id, p_password_hash, 'password_reset', p_ip, p_agent, p_request);
    PERFORM identity.remember_device(link.user_id, NULL, NULL, p_ip);
    RETURN true;
END
$$;

CREATE OR REPLACE FUNCTION identity.find_reset(p_id uuid, p_secret_hash bytea) RETURNS TABLE (email text, full_name text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    RETURN QUERY
        SELECT person.email::text, person.full_name::text
          FROM identity.links AS link
          JOIN public.users AS person ON person.id = link.user_id
         WHERE link.id = p_id
           AND link.secret_hash = p_secret_hash
           AND link.purpose = 'reset_password'
           AND link.used_at IS NULL
           AND link.expires_at > now()
           AND person.deleted_at IS NULL;
END
$$;

CREATE OR REPLACE FUNCTION identity.attempt_login(
    p_email        text,
    p_device       bytea,
    p_ip           text,
    p_keys         bytea[],             -- of the address, the account, and the account at this address
    p_capacities   double precision[],  -- of an address, and of an account
    p_per_second   double precision[]
) RETURNS TABLE (retry_after integer, keys bytea[], device_id uuid, user_id uuid, password_hash text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    person     uuid;
    stored     text;
    known_id   uuid;
    known_kind text;
    wanted     bytea[];
    seconds    integer;
BEGIN
    SELECT account.id, credential.password_hash
      INTO person, stored
      FROM public.users AS account
      LEFT JOIN identity.credentials AS credential ON credential.user_id = account.id
     WHERE account.email = lower(p_email)
       AND account.deleted_at IS NULL;

    SELECT device.id, device.kind
      INTO known_id, known_kind
      FROM identity.known_devices AS device
     WHERE device.user_id = person
       AND device.key_hash IN (p_device, identity.address_hash(p_ip))
       AND device.expires_at > now()
     ORDER BY device.kind DESC
     LIMIT 1;

    IF known_kind = 'device' THEN
        wanted := ARRAY[sha256(convert_to('device:' || known_id, 'UTF8'))];
        seconds := identity.take_attempt(wanted, p_capacities[2:2], p_per_second[2:2]);
    ELSE
        known_id := NULL;
        wanted := ARRAY[p_keys[1], CASE known_kind WHEN 'address' THEN p_keys[3] ELSE p_keys[2] END];
        seconds := identity.take_attempt(wanted, p_capacities, p_per_second);
    END IF;

    IF seconds > 0 THEN
        RETURN QUERY SELECT seconds, NULL::bytea[], NULL::uuid, NULL::uuid, NULL::text;
    ELSE
        RETURN QUERY SELECT 0, wanted, known_id, person, stored;
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION identity.address_hash(p_ip text) RETURNS bytea
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    address inet := app.parse_ip(p_ip);
BEGIN
    RETURN sha256(convert_to(
        network(set_masklen(address, CASE family(address) WHEN 4 THEN 32 ELSE 64 END))::text, 'UTF8'));
END
$$;

CREATE OR REPLACE FUNCTION identity.exchange_external(
    p_issuer          text,
    p_subject         text,
    p_token_hash      bytea,
    p_token_expires   timestamptz,
    p_slug            text,
    p_second_factor   boolean,
    p_step            bigint,
    p_recovery        bytea,
    p_keys            bytea[],  -- where the code was counted
    p_refresh_hash    bytea,
    p_session_seconds integer,
    p_refresh_seconds integer,
    p_ip              text,
    p_agent           text
) RETURNS TABLE (user_id uuid, organization_id uuid, session_id uuid, role text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    person uuid := identity.find_external_identity(p_issuer, p_subject);
    org    uuid;
    proved boolean := p_second_factor;
BEGIN
    IF person IS NULL THEN
        RAISE EXCEPTION 'the identity is linked to nobody'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'external_not_linked';
    END IF;
    SELECT listed.organization_id
      INTO org
      FROM identity.list_organizations(person) WITH ORDINALITY
           AS listed (organization_id, name, slug, role, place)
     WHERE p_slug IS NULL OR listed.slug = p_slug
     ORDER BY listed.place
     LIMIT 1;
    IF org IS NULL THEN
        RAISE EXCEPTION 'a member of no such organisation'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'external_refused';
    END IF;
    IF NOT p_second_factor THEN
        proved := identity.use_second_factor(person, p_step, p_recovery);
    END IF;
    PERFORM identity.spend_external_token(p_issuer, p_token_hash, p_token_expires);
    UPDATE identity.external_identities SET last_used_at = now() WHERE issuer = p_issuer AND subject = p_subject;
    RETURN QUERY
        SELECT person, org, started.session_id, started.role
          FROM identity.start_session(
                   person, org, p_refresh_hash, p_session_seconds, p_refresh_seconds, p_ip, p_agent, 'external',
                   proved) AS started;
    PERFORM identity.return_attempt(p_keys);
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

CREATE OR REPLACE FUNCTION identity.log_in(
    p_user            uuid,
    p_password_hash   text,  -- what the password was compared with
    p_org             uuid,
    p_refresh_hash    bytea,
    p_session_seconds integer,
    p_refresh_seconds integer,
    p_ip              text,
    p_agent           text,
    p_step            bigint,
    p_recovery        bytea,
    p_keys            bytea[],
    p_old_device      bytea,
    p_new_device      bytea
) RETURNS TABLE (session_id uuid, role text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    proved boolean;
BEGIN
    -- Locks the credentials, so that what is read of them next stays so until the session is there for a change to end.
    PERFORM identity.remember_device(p_user, p_old_device, p_new_device, p_ip);
    IF NOT EXISTS (
        SELECT FROM identity.credentials AS credential
         WHERE credential.user_id = p_user AND credential.password_hash = p_password_hash)
    THEN
        RAISE EXCEPTION 'the password was changed'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'login_refused';
    END IF;
    proved := identity.use_second_factor(p_user, p_step, p_recovery);
    RETURN QUERY
        SELECT started.session_id, started.role
          FROM identity.start_session(
                   p_user, p_org, p_refresh_hash, p_session_seconds, p_refresh_seconds, p_ip, p_agent, 'password', proved) AS started;
    PERFORM identity.return_attempt(p_keys);
END
$$;

CREATE OR REPLACE FUNCTION identity.log_out(p_session uuid, p_user uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM identity.sessions WHERE id = p_session AND user_id = p_user)
       AND identity.end_session(p_session, 'logout');
END
$$;

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
    RETURN identity.end_session(p_target, 'revoked');
END
$$;

CREATE OR REPLACE FUNCTION identity.switch_session(
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

CREATE OR REPLACE FUNCTION identity.end_sessions(p_user uuid, p_org uuid, p_except uuid, p_reason text) RETURNS integer
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

CREATE OR REPLACE FUNCTION identity.rotate_refresh(
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

CREATE OR REPLACE FUNCTION identity.start_session(
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

CREATE OR REPLACE FUNCTION identity.tighten_limits() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF NEW.session_days IS DISTINCT FROM OLD.session_days THEN
        UPDATE identity.sessions
           SET expires_at = created_at + make_interval(days => NEW.session_days)
         WHERE organization_id = NEW.id
           AND ended_at IS NULL
           AND expires_at > created_at + make_interval(days => NEW.session_days);
    END IF;
    IF NEW.api_token_days IS DISTINCT FROM OLD.api_token_days THEN
        UPDATE identity.api_tokens
           SET expires_at = created_at + make_interval(days => NEW.api_token_days)
         WHERE organization_id = NEW.id
           AND revoked_at IS NULL
           AND expires_at > created_at + make_interval(days => NEW.api_token_days);
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION identity.limit_session() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    most_days integer := (SELECT session_days FROM public.organizations WHERE id = NEW.organization_id);
BEGIN
    NEW.expires_at := least(NEW.expires_at, NEW.created_at + make_interval(days => most_days));
    RETURN NEW;
END
$$;

DROP FUNCTION identity.make_room(uuid);
DROP FUNCTION identity.end_login(uuid, uuid, text);
ALTER TABLE identity.sessions DROP COLUMN login_at, DROP COLUMN login_id;

CREATE OR REPLACE FUNCTION identity.enter_session(
    p_session uuid,
    p_user    uuid,
    p_org     uuid,
    p_ip      text,
    p_agent   text,
    p_request text
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM identity.check_session(p_session, p_user, p_org);
    EXECUTE format(
        'SET LOCAL app.user_id = %L; SET LOCAL app.ip = %L; SET LOCAL app.user_agent = %L; SET LOCAL app.request_id = %L',
        p_user, coalesce(host(app.parse_ip(p_ip)), ''), left(coalesce(p_agent, ''), 300), left(coalesce(p_request, ''), 128));
END
$$;

CREATE OR REPLACE FUNCTION app.log_event(
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

DROP FUNCTION identity.hold_person(uuid);
SELECT app.seal_functions();
GRANT EXECUTE ON FUNCTION identity.switch_session(uuid, uuid, bytea, integer, integer, text, text) TO crm_app;
