-- Takes the order of locks, the proofs that are looked at again, and the log of refused logins away.
GRANT EXECUTE ON FUNCTION identity.end_session(uuid, text) TO crm_app;
DROP FUNCTION identity.log_out(uuid, uuid);
DROP INDEX identity.sessions_end;
DROP INDEX identity.sessions_organization;
DROP FUNCTION identity.log_refused_login(uuid, text, text, text);

CREATE OR REPLACE FUNCTION identity.confirm_email_change(p_id uuid, p_secret_hash bytea, p_ip text, p_agent text, p_request text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    link   identity.links;
    person public.users;
BEGIN
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

CREATE OR REPLACE FUNCTION identity.request_email_change(p_id uuid, p_secret_hash bytea, p_email text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    address  text := lower(p_email);
    is_taken boolean;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('identity.links ' || address, 0));
    IF (SELECT count(*)
          FROM identity.links
         WHERE (email = address OR user_id = app.user_id())
           AND purpose = 'confirm_email'
           AND created_at > now() - interval '1 hour') >= 3
    THEN
        RETURN;
    END IF;
    is_taken := EXISTS (SELECT FROM public.users WHERE email = address);

    INSERT INTO identity.links (id, purpose, user_id, email, secret_hash, expires_at, used_at)
    VALUES (p_id, 'confirm_email', app.user_id(), address, p_secret_hash, now() + interval '24 hours',
            CASE WHEN is_taken THEN now() END);
    PERFORM identity.queue_letter(
                CASE WHEN is_taken THEN 'email_in_use' ELSE 'confirm_email' END, address, locale,
                CASE WHEN NOT is_taken THEN p_id END, NULL, now() + interval '24 hours')
       FROM public.users
      WHERE id = app.user_id();
END
$$;

CREATE OR REPLACE FUNCTION identity.change_password(p_known_hash text, p_password_hash text) RETURNS TABLE (second_factor boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    had_second_factor boolean;
BEGIN
    PERFORM FROM identity.credentials WHERE user_id = app.user_id() AND password_hash = p_known_hash FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT session.second_factor_at IS NOT NULL
      INTO had_second_factor
      FROM identity.sessions AS session
     WHERE session.id = app.context('session_id')::uuid;
    PERFORM identity.replace_password(app.user_id(), p_password_hash, 'password_changed', NULL, NULL, NULL);
    RETURN QUERY SELECT coalesce(had_second_factor, false);
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

DROP FUNCTION identity.hold_person_of_link(uuid, bytea);

CREATE OR REPLACE FUNCTION identity.accept_invitation(
    p_secret_id       uuid,
    p_secret_hash     bytea,
    p_proved          uuid,
    p_full_name       text,
    p_password_hash   text,
    p_provider        text,
    p_issuer          text,
    p_subject         text,
    p_token_hash      bytea,
    p_token_expires   timestamptz,
    p_second_factor   boolean,
    p_step            bigint,
    p_recovery        bytea,
    p_keys            bytea[],  -- where the code was counted
    p_refresh_hash    bytea,
    p_session_seconds integer,
    p_refresh_seconds integer,
    p_ip              text,
    p_agent           text,
    p_request         text
) RETURNS TABLE (user_id uuid, organization_id uuid, session_id uuid, role text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    taken   identity.invitations := identity.take_invitation(p_secret_id, p_secret_hash);
    person  public.users;
    is_open boolean;
    proved  boolean := p_second_factor;
BEGIN
    SELECT * INTO person FROM public.users WHERE email = taken.email FOR NO KEY UPDATE;
    IF person.deleted_at IS NOT NULL THEN
        RAISE EXCEPTION 'no such invitation'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'invitation_unknown';
    END IF;
    -- Without a password and without an identity nobody can prove to be this person, and the letter is proof enough.
    is_open := person.id IS NULL OR NOT (
        EXISTS (SELECT FROM identity.credentials AS known WHERE known.user_id = person.id)
        OR EXISTS (SELECT FROM identity.external_identities AS known WHERE known.user_id = person.id));
    IF NOT is_open AND p_proved IS DISTINCT FROM person.id THEN
        RAISE EXCEPTION 'the person has an account and has not proved to be its owner'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'invitation_unproved';
    END IF;

    IF person.id IS NULL THEN
        INSERT INTO public.users (email, full_name, time_zone, locale)
        SELECT taken.email, p_full_name, organization.time_zone, inviter.locale
          FROM public.organizations AS organization
         CROSS JOIN public.users AS inviter
         WHERE organization.id = taken.organization_id
           AND inviter.id = taken.invited_by_id
        ON CONFLICT (email) DO NOTHING
        RETURNING * INTO person;
        IF person.id IS NULL THEN
            RAISE EXCEPTION 'the account was made just now'
                USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'invitation_unproved';
        END IF;
    END IF;

    PERFORM identity.act_as(person.id, p_ip, p_agent, p_request);
    IF is_open OR NOT p_second_factor THEN
        proved := identity.use_second_factor(person.id, p_step, p_recovery) OR p_second_factor;
    END IF;
    PERFORM identity.spend_external_token(p_issuer, p_token_hash, p_token_expires);
    PERFORM identity.enter_by_invitation(taken, person.id);
    IF is_open AND p_password_hash IS NOT NULL THEN
        INSERT INTO identity.credentials (user_id, password_hash) VALUES (person.id, p_password_hash);
        PERFORM app.log_person_event(person.id, 'created', 'credential', person.id, 'invitation');
    ELSIF is_open AND p_subject IS NOT NULL THEN
        PERFORM identity.link_person(person.id, p_provider, p_issuer, p_subject);
    ELSIF is_open THEN
        RAISE EXCEPTION 'a new person needs a way in'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'required', COLUMN = 'password';
    END IF;

    RETURN QUERY
        SELECT person.id, taken.organization_id, started.session_id, started.role
          FROM identity.start_session(
                   person.id, taken.organization_id, p_refresh_hash, p_session_seconds, p_refresh_seconds, p_ip, p_agent,
                   'invitation', proved) AS started;
    PERFORM identity.return_attempt(p_keys);
END
$$;

CREATE OR REPLACE FUNCTION identity.act_as(p_user uuid, p_ip text, p_agent text, p_request text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    EXECUTE format(
        'SET LOCAL app.user_id = %L; SET LOCAL app.actor_kind = %L; SET LOCAL app.ip = %L; SET LOCAL app.user_agent = %L;'
        'SET LOCAL app.request_id = %L',
        p_user, 'user', coalesce(host(app.parse_ip(p_ip)), ''), left(coalesce(p_agent, ''), 300), left(coalesce(p_request, ''), 128));
END
$$;

DROP FUNCTION identity.hold_external_identity(uuid, text, text);
DROP FUNCTION identity.hold_password(uuid, text);

CREATE OR REPLACE FUNCTION identity.hold_invitation(p_id uuid) RETURNS identity.invitations
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    held identity.invitations;
BEGIN
    IF app.is_manager() THEN
        SELECT * INTO held FROM identity.invitations WHERE organization_id = app.org_id() AND id = p_id FOR UPDATE;
    END IF;
    IF held.id IS NULL THEN
        RAISE EXCEPTION 'no such invitation'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'invitation_unknown';
    END IF;
    PERFORM identity.require_inviter(held.organization_id, held.email, held.role);
    RETURN held;
END
$$;

CREATE OR REPLACE FUNCTION identity.limit_invitations(p_org uuid, p_email text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('identity.invitations ' || p_org::text, 0));
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

DROP FUNCTION identity.hold_invitations(uuid);
DROP TRIGGER lock_organization_first ON memberships;
DROP FUNCTION app.lock_organization_first();
