-- The door tells nobody who exists, what is refused is in the log, and what is ended or shortened at this moment does not slip by.
--
-- What must stay true:
--   * Where a login is counted depends on nothing but what its caller sent and a secret that the person's own client keeps. An address
--     that somebody has come from is no secret: whoever shares it must see what every stranger sees.
--   * Locks are taken in this order: the invitation, the person, the organisation, the session, its refresh token, the membership.
--     Whoever opens a session or makes an API token shares the organisation's row: a limit that is drawn tighter at that moment is seen
--     by them, or finds what they made.
--   * What a mailbox gets is bounded over all organisations, and no organisation is told of the others: what is too much is put off.

-- ---------------------------------------------------------------- logging in

DELETE FROM identity.known_devices WHERE kind = 'address';
ALTER TABLE identity.known_devices DROP COLUMN kind;

DROP FUNCTION identity.remember_device(uuid, bytea, bytea, text);
-- The secret that a client of somebody who has just proved who they are will send with the next login. An older one of the same device
-- is replaced: its budget stays. At most twenty are kept.
CREATE FUNCTION identity.remember_device(p_user uuid, p_old_device bytea, p_new_device bytea) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    -- One at a time for each person: two that come in at once would lock each other's rows in another order.
    PERFORM FROM identity.credentials WHERE user_id = p_user FOR UPDATE;

    UPDATE identity.known_devices
       SET key_hash = p_new_device, expires_at = now() + interval '180 days'
     WHERE user_id = p_user AND key_hash = p_old_device AND expires_at > now();
    IF NOT FOUND THEN
        INSERT INTO identity.known_devices (user_id, key_hash, expires_at)
        VALUES (p_user, p_new_device, now() + interval '180 days');
    END IF;

    DELETE FROM identity.known_devices
     WHERE id IN (
           SELECT ranked.id
             FROM (SELECT id, expires_at, row_number() OVER (ORDER BY expires_at DESC, id DESC) AS place
                     FROM identity.known_devices
                    WHERE user_id = p_user) AS ranked
            WHERE ranked.place > 20 OR ranked.expires_at <= now());
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
    PERFORM identity.hold_person(p_user);
    -- Locks the credentials, so that what is read of them next stays so until the session is there for a change to end.
    PERFORM identity.remember_device(p_user, p_old_device, p_new_device);
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

-- Counts a try to log in and finds what the password is compared with, in one statement, the same for every address. A known device is
-- counted alone.
DROP FUNCTION identity.attempt_login(text, bytea, text, bytea[], double precision[], double precision[]);
CREATE FUNCTION identity.attempt_login(
    p_email        text,
    p_device       bytea,
    p_keys         bytea[],             -- of the address, and of the account
    p_capacities   double precision[],
    p_per_second   double precision[]
) RETURNS TABLE (retry_after integer, keys bytea[], device_id uuid, user_id uuid, password_hash text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    person   uuid;
    stored   text;
    known_id uuid;
    wanted   bytea[] := p_keys;
    seconds  integer;
BEGIN
    SELECT account.id, credential.password_hash
      INTO person, stored
      FROM public.users AS account
      LEFT JOIN identity.credentials AS credential ON credential.user_id = account.id
     WHERE account.email = lower(p_email)
       AND account.deleted_at IS NULL;

    SELECT device.id
      INTO known_id
      FROM identity.known_devices AS device
     WHERE device.user_id = person
       AND device.key_hash = p_device
       AND device.expires_at > now();

    IF known_id IS NULL THEN
        seconds := identity.take_attempt(wanted, p_capacities, p_per_second);
    ELSE
        wanted := ARRAY[sha256(convert_to('device:' || known_id, 'UTF8'))];
        seconds := identity.take_attempt(wanted, p_capacities[2:2], p_per_second[2:2]);
    END IF;

    IF seconds > 0 THEN
        RETURN QUERY SELECT seconds, NULL::bytea[], NULL::uuid, NULL::uuid, NULL::text;
    ELSE
        RETURN QUERY SELECT 0, wanted, known_id, person, stored;
    END IF;
END
$$;

-- A password that was reset by mail is a way in, however many tries others have made: the client that did it is known from then on.
DROP FUNCTION identity.reset_password(uuid, bytea, text, text, text, text);
CREATE FUNCTION identity.reset_password(
    p_id            uuid,
    p_secret_hash   bytea,
    p_password_hash text,
    p_device        bytea,  -- the secret that the client will send
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
       OR NOT EXISTS (SELECT FROM public.users WHERE id = link.user_id AND email = link.email AND deleted_at IS NULL)
    THEN
        RETURN false;
    END IF;
    PERFORM identity.replace_password(link.user_id, p_password_hash, 'password_reset', p_ip, p_agent, p_request);
    PERFORM identity.remember_device(link.user_id, NULL, p_device);
    RETURN true;
END
$$;

-- ---------------------------------------------------------------- what was refused

-- A wrong password, or a wrong code after a right password, told to the organisations of the person. How many of them there can be is
-- bounded by the throttle, which counts before.
DROP FUNCTION identity.log_refused_login(uuid, text, text, text);
CREATE FUNCTION identity.log_refused_login(p_user uuid, p_proof text, p_ip text, p_agent text, p_request text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM identity.require_proof(p_proof);
    PERFORM app.log_person_event(p_user, 'login_refused', p_proof, p_user, NULL, NULL, p_ip, p_agent, p_request);
END
$$;

-- The same of somebody who is in, and was asked again.
CREATE FUNCTION identity.log_refused_proof(
    p_session uuid,
    p_user    uuid,
    p_org     uuid,
    p_ip      text,
    p_agent   text,
    p_request text,
    p_proof   text
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM identity.require_proof(p_proof);
    PERFORM identity.enter_session(p_session, p_user, p_org, p_ip, p_agent, p_request);
    -- For the organisation of the session; the others are not told from where.
    EXECUTE format('SET LOCAL app.session_id = %L', p_session);
    PERFORM app.log_person_event(p_user, 'proof_refused', p_proof, p_user);
END
$$;

-- What proves a person, by the name that it has in the log: no caller writes an event about anything else.
CREATE FUNCTION identity.require_proof(p_proof text) RETURNS void
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF p_proof IS NULL OR p_proof NOT IN ('credential', 'second_factor') THEN
        RAISE EXCEPTION 'no such proof' USING ERRCODE = 'check_violation', CONSTRAINT = 'proof_known';
    END IF;
END
$$;

-- ---------------------------------------------------------------- limits that are drawn tighter at this moment

-- Whoever changes its settings or its roles waits until the end of the transaction, or has come first and is seen.
CREATE FUNCTION identity.share_organization(p_org uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM FROM public.organizations WHERE id = p_org FOR SHARE;
END
$$;

CREATE OR REPLACE FUNCTION identity.limit_session() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    most_days integer;
BEGIN
    -- Read under the lock, which whoever opens a session has taken in its turn.
    SELECT session_days INTO most_days FROM public.organizations WHERE id = NEW.organization_id FOR SHARE;
    NEW.login_id := coalesce(NEW.login_id, NEW.id);
    NEW.login_at := coalesce(NEW.login_at, NEW.created_at);
    NEW.expires_at := least(NEW.expires_at, NEW.login_at + make_interval(days => most_days));
    RETURN NEW;
END
$$;

CREATE OR REPLACE FUNCTION identity.guard_api_token() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    most_days integer;
BEGIN
    SELECT api_token_days INTO most_days FROM public.organizations WHERE id = NEW.organization_id FOR SHARE;
    -- A minute of grace: the caller counted from its own clock.
    IF NEW.expires_at > now() + make_interval(days => most_days) + interval '1 minute' THEN
        RAISE EXCEPTION 'this organisation wants its tokens to end sooner'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'token_lifetime', COLUMN = 'expires_at', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
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
    -- Before anything is read: what ends all sessions of the person waits for this one, or has come first.
    PERFORM identity.hold_person(p_user);
    -- Before the sessions and the membership: whoever changes settings or roles holds the organisation and then wants those.
    PERFORM identity.share_organization(p_org);
    PERFORM identity.make_room(p_user);
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

    -- The organisation first, as everywhere.
    PERFORM identity.share_organization(app.org_id());

    -- The caller's own membership before all else, and the role read anew: whoever is being removed or demoted at this moment waits
    -- for that, and is refused then. A token that was not committed yet would be missed by identity.revoke_made_tokens.
    PERFORM FROM public.memberships WHERE organization_id = app.org_id() AND user_id = app.user_id() FOR NO KEY UPDATE;
    rank := app.active_role(app.org_id(), app.user_id());
    IF rank IS NULL THEN
        RAISE EXCEPTION 'not an active member of this organisation'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'not_a_member';
    END IF;

    -- So is the session: it may have ended while this waited.
    IF app.context('session_id') IS NOT NULL
       AND NOT EXISTS (
            SELECT FROM identity.sessions
             WHERE id = app.context('session_id')::uuid AND ended_at IS NULL AND expires_at > now())
    THEN
        RAISE EXCEPTION 'the session has ended'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'session_ended';
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

CREATE OR REPLACE FUNCTION identity.switch_session(
    p_session         uuid,
    p_user            uuid,
    p_known_hash      bytea,  -- of a refresh token of that session; it is spent
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
    -- Before the session: it may be one of the organisation that is switched to, whose settings may be changing.
    PERFORM identity.hold_person(p_user);
    IF app.active_role(p_org, p_user) IS NOT NULL THEN
        PERFORM identity.share_organization(p_org);
    END IF;
    first := identity.spend_refresh(p_session, p_user, p_known_hash);
    IF app.active_role(p_org, p_user) IS NULL THEN
        RAISE EXCEPTION 'not a member there'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'organization_unknown';
    END IF;
    RETURN QUERY
        SELECT moved.session_id, moved.role
          FROM identity.move_session(first, p_org, p_refresh_hash, p_session_seconds, p_refresh_seconds, p_ip, p_agent) AS moved;
END
$$;

-- ---------------------------------------------------------------- sessions that a manager has ended

-- Since when a member's logins are over in an organisation, as a manager has said; one that began before comes in no more. Also for
-- who had no session there at that moment, or never. That something was ended is logged with each session.
CREATE TABLE identity.ended_logins (
    organization_id uuid        NOT NULL,
    user_id         uuid        NOT NULL,
    ended_at        timestamptz NOT NULL,
    CONSTRAINT ended_logins_pkey PRIMARY KEY (organization_id, user_id),
    CONSTRAINT ended_logins_user_id_fkey FOREIGN KEY (organization_id, user_id) REFERENCES public.memberships (organization_id, user_id)
);
ALTER TABLE identity.ended_logins OWNER TO crm_owner;
ALTER TABLE identity.ended_logins ENABLE ROW LEVEL SECURITY;
ALTER TABLE identity.ended_logins FORCE ROW LEVEL SECURITY;
CREATE POLICY definer_all ON identity.ended_logins TO crm_definer USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE ON identity.ended_logins TO crm_definer;
INSERT INTO identity.ended_logins (organization_id, user_id, ended_at)
SELECT organization_id, user_id, max(ended_at)
  FROM identity.sessions
 WHERE ended_reason = 'ended_by_manager' AND ended_at IS NOT NULL
 GROUP BY organization_id, user_id;
DROP INDEX identity.sessions_ended_by_manager;

CREATE OR REPLACE FUNCTION identity.end_member_sessions(p_member uuid) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    member_role text;
BEGIN
    PERFORM FROM public.memberships WHERE organization_id = app.org_id() AND user_id = p_member;
    IF NOT FOUND THEN
        RETURN 'unknown';
    END IF;
    IF NOT app.is_manager() THEN
        RETURN 'forbidden';
    END IF;
    -- The person first, as whatever opens or moves a session does: a switch has the session before it asks for the membership, and
    -- the two would wait for each other.
    PERFORM identity.hold_person(p_member);
    -- Locked, as whoever opens a session here holds it.
    SELECT role
      INTO member_role
      FROM public.memberships
     WHERE organization_id = app.org_id() AND user_id = p_member
       FOR NO KEY UPDATE;
    IF NOT app.is_manager() OR (member_role = 'owner' AND app.role() <> 'owner') THEN
        RETURN 'forbidden';
    END IF;
    PERFORM identity.end_sessions(p_member, app.org_id(), NULL, 'ended_by_manager');
    -- A login that is elsewhere for the moment comes in no more: identity.move_session looks for this.
    INSERT INTO identity.ended_logins AS known (organization_id, user_id, ended_at)
    VALUES (app.org_id(), p_member, clock_timestamp())
    ON CONFLICT (organization_id, user_id) DO UPDATE SET ended_at = excluded.ended_at;
    RETURN 'ended';
END
$$;

-- ---------------------------------------------------------------- sessions of an identity that is unlinked

-- What opened the login, where that was an identity of a provider; no foreign key, for it outlives the link.
ALTER TABLE identity.sessions ADD COLUMN external_identity_id uuid;

CREATE OR REPLACE FUNCTION identity.move_session(
    p_first           identity.sessions,
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
    new_session uuid;
    member_role text;
BEGIN
    PERFORM identity.end_session(p_first.id, 'switched');
    SELECT started.session_id, started.role
      INTO new_session, member_role
      FROM identity.start_session(
               p_first.user_id, p_org, p_refresh_hash, p_session_seconds, p_refresh_seconds, p_ip, p_agent, 'switch',
               p_first.second_factor_at IS NOT NULL) AS started;
    -- Looked for with the membership held: a manager has ended the person's sessions here since that login, and another one is needed.
    IF EXISTS (
        SELECT FROM identity.ended_logins AS known
         WHERE known.organization_id = p_org
           AND known.user_id = p_first.user_id
           AND known.ended_at > p_first.login_at)
    THEN
        RAISE EXCEPTION 'the login has ended here'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'session_ended';
    END IF;
    -- It is the same login: it began then, ends no later, and ends with it.
    UPDATE identity.sessions AS session
       SET login_id = p_first.login_id,
           login_at = p_first.login_at,
           external_identity_id = p_first.external_identity_id,
           expires_at = least(session.expires_at, p_first.expires_at, p_first.login_at + make_interval(days => organization.session_days))
      FROM public.organizations AS organization
     WHERE session.id = new_session AND organization.id = p_org;
    UPDATE identity.refresh_tokens AS token
       SET expires_at = least(token.expires_at, session.expires_at)
      FROM identity.sessions AS session
     WHERE token.session_id = new_session AND session.id = new_session;
    RETURN QUERY SELECT new_session, member_role;
END
$$;

-- Says of the session that was just opened with this refresh token by which identity that was.
CREATE FUNCTION identity.note_external_identity(p_refresh_hash bytea, p_issuer text, p_subject text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    UPDATE identity.sessions AS session
       SET external_identity_id = known.id
      FROM identity.refresh_tokens AS token
     CROSS JOIN identity.external_identities AS known
     WHERE token.token_hash = p_refresh_hash
       AND session.id = token.session_id
       AND known.issuer = p_issuer
       AND known.subject = p_subject;
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
    PERFORM identity.hold_person(person);
    IF NOT identity.hold_external_identity(person, p_issuer, p_subject) THEN
        RAISE EXCEPTION 'the identity was unlinked just now'
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
    PERFORM identity.note_external_identity(p_refresh_hash, p_issuer, p_subject);
    PERFORM identity.return_attempt(p_keys);
END
$$;

CREATE OR REPLACE FUNCTION identity.accept_invitation(
    p_secret_id       uuid,
    p_secret_hash     bytea,
    p_proved          uuid,
    p_full_name       text,
    p_password_hash   text,  -- of a new account its own; of one that is there what its password was compared with
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
    IF NOT is_open AND (p_proved IS DISTINCT FROM person.id OR NOT CASE
        -- What proved it may have been changed since: the password, or the link to the identity.
        WHEN p_subject IS NULL THEN identity.hold_password(person.id, p_password_hash)
        ELSE identity.hold_external_identity(person.id, p_issuer, p_subject) END)
    THEN
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
    PERFORM identity.note_external_identity(p_refresh_hash, p_issuer, p_subject);
    PERFORM identity.return_attempt(p_keys);
END
$$;

CREATE OR REPLACE FUNCTION identity.unlink_external_identity(p_id uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    caller   uuid := app.user_id();
    unlinked identity.external_identities;
    opened   record;
BEGIN
    PERFORM FROM public.users WHERE id = caller FOR NO KEY UPDATE;
    DELETE FROM identity.external_identities WHERE id = p_id AND user_id = caller RETURNING * INTO unlinked;
    IF unlinked.id IS NULL THEN
        RAISE EXCEPTION 'no such identity'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'external_identity_unknown';
    END IF;
    IF NOT EXISTS (SELECT FROM identity.credentials WHERE user_id = caller)
       AND NOT EXISTS (SELECT FROM identity.external_identities WHERE user_id = caller)
    THEN
        RAISE EXCEPTION 'the only way in'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'last_way_in';
    END IF;
    -- What it has opened ends with it, wherever the login is by now; the session that asks has shown more than that, and goes on. Of
    -- sessions of an earlier time it is not known by which identity they came: all of those go.
    FOR opened IN
        SELECT DISTINCT ON (session.login_id) session.id
          FROM identity.sessions AS session
         WHERE session.user_id = caller
           AND (session.external_identity_id = unlinked.id
                OR (session.external_identity_id IS NULL AND session.method = 'external'))
         ORDER BY session.login_id
    LOOP
        PERFORM identity.end_login(opened.id, app.context('session_id')::uuid, 'external_identity_removed');
    END LOOP;
    PERFORM app.log_person_event(caller, 'deleted', 'external_identity', unlinked.id, unlinked.provider);
    PERFORM identity.queue_letter(
                'sign_in_method_changed', email, locale, NULL,
                jsonb_build_object('name', full_name, 'provider', unlinked.provider, 'change', 'unlinked'), now() + interval '1 day')
       FROM public.users
      WHERE id = caller;
END
$$;

-- ---------------------------------------------------------------- letters of invitations

-- Every letter counts, and of one address those of the organisation that asks: it is told nothing of the others.
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
             FROM identity.invitations AS invitation
            CROSS JOIN unnest(invitation.sent_lately) AS sent (at)
            WHERE invitation.organization_id = p_org
              AND invitation.sent_at > now() - interval '1 hour'
              AND sent.at > now() - interval '1 hour') >= 500
    THEN
        RAISE EXCEPTION 'too many letters within an hour'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'invitation_letters_limited';
    END IF;
END
$$;

-- Ten letters an hour go to one mailbox, whoever invites. One more is put off until there is room, and nobody is told: the invitation is
-- there and answered like any other.
CREATE INDEX letters_invited ON identity.letters (recipient, coalesce(sent_at, due_at)) WHERE kind = 'invitation';
CREATE OR REPLACE FUNCTION identity.queue_invitation(p_invitation identity.invitations) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    most     CONSTANT integer := 10;
    has_room timestamptz;
BEGIN
    -- One at a time for each mailbox, so that what is counted stays counted.
    PERFORM pg_advisory_xact_lock(hashtextextended('identity.invitations of ' || p_invitation.email, 0));
    SELECT coalesce(letter.sent_at, letter.due_at) + interval '1 hour'
      INTO has_room
      FROM identity.letters AS letter
     WHERE letter.kind = 'invitation' AND letter.recipient = p_invitation.email
     ORDER BY coalesce(letter.sent_at, letter.due_at) DESC
    OFFSET most - 1
     LIMIT 1;
    PERFORM identity.queue_letter(
                'invitation', p_invitation.email,
                coalesce((SELECT locale FROM public.users WHERE email = p_invitation.email), inviter.locale),
                p_invitation.secret_id,
                jsonb_build_object('organization', organization.name, 'inviter', inviter.full_name, 'role', p_invitation.role),
                p_invitation.expires_at)
       FROM public.organizations AS organization
      CROSS JOIN public.users AS inviter
      WHERE organization.id = p_invitation.organization_id
        AND inviter.id = p_invitation.invited_by_id;
    UPDATE identity.letters
       SET due_at = has_room
     WHERE kind = 'invitation' AND recipient = p_invitation.email AND secret_id = p_invitation.secret_id AND due_at < has_room;
END
$$;

-- A letter that was put off and whose link is dead is not sent at all: of one organisation one letter waits for a mailbox at most.
CREATE FUNCTION identity.withdraw_invitation(p_invitation identity.invitations) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    DELETE FROM identity.letters
     WHERE kind = 'invitation'
       AND recipient = p_invitation.email
       AND secret_id = p_invitation.secret_id
       AND attempts = 0
       AND due_at > now();
END
$$;

CREATE OR REPLACE FUNCTION identity.resend_invitation(p_id uuid, p_secret_id uuid, p_secret_hash bytea, p_seconds integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    held identity.invitations := identity.hold_invitation(p_id);
BEGIN
    PERFORM identity.refuse_api_tokens();
    IF held.closed_as IS NOT NULL THEN
        RAISE EXCEPTION 'the invitation is closed'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'invitation_closed';
    END IF;
    PERFORM identity.refuse_member(held.organization_id, held.email);
    PERFORM identity.limit_invitations(held.organization_id, held.email);

    PERFORM identity.withdraw_invitation(held);
    UPDATE identity.invitations
       SET secret_id = p_secret_id,
           secret_hash = p_secret_hash,
           invited_by_id = app.user_id(),
           sent_at = now(),
           sent_lately = ARRAY(SELECT at FROM unnest(held.sent_lately) AS at WHERE at > now() - interval '1 hour') || now(),
           expires_at = now() + make_interval(secs => p_seconds)
     WHERE organization_id = held.organization_id AND id = held.id
    RETURNING * INTO held;
    PERFORM identity.queue_invitation(held);
END
$$;

CREATE OR REPLACE FUNCTION identity.revoke_invitation(p_id uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    held identity.invitations := identity.hold_invitation(p_id);
BEGIN
    IF held.closed_as = 'accepted' THEN
        RAISE EXCEPTION 'the invitation was accepted'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'invitation_closed';
    END IF;
    PERFORM identity.withdraw_invitation(held);
    UPDATE identity.invitations
       SET closed_at = now(), closed_as = 'revoked'
     WHERE organization_id = held.organization_id AND id = held.id AND closed_as IS NULL;
END
$$;

SELECT app.seal_functions();
GRANT EXECUTE ON FUNCTION identity.attempt_login(text, bytea, bytea[], double precision[], double precision[]) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.reset_password(uuid, bytea, text, bytea, text, text, text) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.log_refused_login(uuid, text, text, text, text) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.log_refused_proof(uuid, uuid, uuid, text, text, text, text) TO crm_app;
