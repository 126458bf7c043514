-- Throttles that all nodes share, devices that a person is known by, the second factor with its recovery codes, and the functions of
-- sessions that a person or a manager ends.
--
-- What must stay true:
--   * A try is counted before it is judged and taken back when it was right: tries at the same moment cannot outrun the count.
--   * Account and unknown address are counted alike, so that a refusal tells nobody whether an account exists.
--   * What a person needs to enrol works in a session that the organisation does not let in yet: these functions check the session
--     themselves instead of app.begin_request.
--   * A code of the second factor works once, a recovery code works once; the seed is sealed before it comes here.

-- ---------------------------------------------------------------- tables

-- Token buckets. The key is a hash of purpose and subject: whom it is about cannot be read here.
CREATE TABLE identity.throttles (
    key_hash   bytea            NOT NULL,
    used       double precision NOT NULL,  -- tries that counted when it was last looked at
    counted_at timestamptz      NOT NULL,
    empty_at   timestamptz      NOT NULL,  -- from when on nothing counts any more, and the row may go
    CONSTRAINT throttles_pkey PRIMARY KEY (key_hash),
    CONSTRAINT throttles_key_hash_length CHECK (octet_length(key_hash) = 32)
);
CREATE INDEX throttles_empty ON identity.throttles (empty_at);

-- What somebody has logged in with or from: a secret that a client keeps, or an address. Tries from there have a budget of their
-- own, so that an attacker elsewhere does not lock the person out.
CREATE TABLE identity.known_devices (
    id         uuid        NOT NULL DEFAULT app.uuid7(),
    user_id    uuid        NOT NULL,
    kind       varchar(20) NOT NULL,
    key_hash   bytea       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    CONSTRAINT known_devices_pkey PRIMARY KEY (id),
    CONSTRAINT known_devices_key_hash_key UNIQUE (user_id, key_hash),
    CONSTRAINT known_devices_kind_known CHECK (kind IN ('device', 'address')),
    CONSTRAINT known_devices_key_hash_length CHECK (octet_length(key_hash) = 32),
    CONSTRAINT known_devices_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users (id)
);
CREATE INDEX known_devices_expires ON identity.known_devices (expires_at);

CREATE TABLE identity.second_factors (
    user_id      uuid        NOT NULL,
    pending_seed bytea,                -- shown, and not yet proved to have arrived
    sealed_seed  bytea,
    enabled_at   timestamptz,
    last_step    bigint,               -- of the last code that was right: none up to it works again
    created_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT second_factors_pkey PRIMARY KEY (user_id),
    CONSTRAINT second_factors_enabled_at_seed CHECK ((enabled_at IS NULL) = (sealed_seed IS NULL)),
    CONSTRAINT second_factors_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users (id)
);

CREATE TABLE identity.recovery_codes (
    user_id    uuid        NOT NULL,
    code_hash  bytea       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    used_at    timestamptz,
    CONSTRAINT recovery_codes_pkey PRIMARY KEY (user_id, code_hash),
    CONSTRAINT recovery_codes_code_hash_length CHECK (octet_length(code_hash) = 32),
    CONSTRAINT recovery_codes_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users (id)
);

DO $$
DECLARE
    secret_table text;
BEGIN
    FOREACH secret_table IN ARRAY ARRAY['throttles', 'known_devices', 'second_factors', 'recovery_codes'] LOOP
        EXECUTE format('ALTER TABLE identity.%I OWNER TO crm_owner', secret_table);
        EXECUTE format('ALTER TABLE identity.%I ENABLE ROW LEVEL SECURITY', secret_table);
        EXECUTE format('ALTER TABLE identity.%I FORCE ROW LEVEL SECURITY', secret_table);
        EXECUTE format(
            'CREATE POLICY definer_all ON identity.%I TO crm_definer USING (true) WITH CHECK (true)', secret_table);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON identity.%I TO crm_definer', secret_table);
    END LOOP;
END
$$;

-- Who has a second factor is for those who may require one.
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
       membership.version,
       CASE WHEN app.is_manager() THEN EXISTS (
           SELECT FROM identity.second_factors AS factor
            WHERE factor.user_id = membership.user_id AND factor.enabled_at IS NOT NULL)
       END AS has_second_factor
  FROM memberships AS membership
  JOIN users AS person
    ON person.id = membership.user_id
  LEFT JOIN teams AS team
    ON team.organization_id = membership.organization_id
   AND team.id = membership.team_id
 WHERE membership.organization_id = app.org_id()
   AND app.role() IS NOT NULL;

-- ---------------------------------------------------------------- throttles

-- Takes away what counts no more, this many rows of each table at most; says how many. Housekeeping does the same once an hour: what
-- an attacker makes within the hour goes here.
CREATE FUNCTION identity.sweep_throttles(p_limit integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    swept   integer;
    expired integer;
BEGIN
    DELETE FROM identity.throttles
     WHERE key_hash IN (
           SELECT key_hash FROM identity.throttles WHERE empty_at <= now() ORDER BY empty_at LIMIT p_limit FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS swept = ROW_COUNT;
    DELETE FROM identity.known_devices
     WHERE id IN (
           SELECT id FROM identity.known_devices WHERE expires_at <= now() ORDER BY expires_at LIMIT p_limit FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS expired = ROW_COUNT;
    RETURN swept + expired;
END
$$;

-- Counts a try in every bucket, or in none when one of them is full. Answers 0, or the seconds after which it is worth trying again.
-- Buckets are locked in the order given: callers name the widest first, so that two tries never wait for each other.
CREATE FUNCTION identity.take_attempt(
    p_keys       bytea[],
    p_capacities double precision[],
    p_per_second double precision[]
) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    bucket record;
    level  double precision;
BEGIN
    FOR bucket IN
        SELECT wanted.key, wanted.capacity, wanted.per_second
          FROM unnest(p_keys, p_capacities, p_per_second) WITH ORDINALITY AS wanted (key, capacity, per_second, place)
         ORDER BY wanted.place
    LOOP
        INSERT INTO identity.throttles AS known (key_hash, used, counted_at, empty_at)
        VALUES (bucket.key, 0, clock_timestamp(), clock_timestamp())
        ON CONFLICT (key_hash) DO UPDATE
           SET used = greatest(0, known.used - bucket.per_second
                                  * greatest(0, extract(epoch FROM clock_timestamp() - known.counted_at)::double precision)),
               counted_at = clock_timestamp()
        RETURNING used INTO level;
        IF level + 1 > bucket.capacity THEN
            RETURN greatest(1, ceil((level + 1 - bucket.capacity) / bucket.per_second))::integer;
        END IF;
    END LOOP;

    UPDATE identity.throttles AS known
       SET used = known.used + 1,
           empty_at = clock_timestamp() + make_interval(secs => (known.used + 1) / wanted.per_second)
      FROM unnest(p_keys, p_per_second) AS wanted (key, per_second)
     WHERE known.key_hash = wanted.key;

    -- Last, because it locks rows of others: nothing is waited for after it.
    IF random() < 0.02 THEN
        PERFORM identity.sweep_throttles(100);
    END IF;
    RETURN 0;
END
$$;

-- Takes a try back that was right. In the same order as it was counted.
CREATE FUNCTION identity.return_attempt(p_keys bytea[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    wanted bytea;
BEGIN
    FOREACH wanted IN ARRAY p_keys LOOP
        UPDATE identity.throttles SET used = greatest(0, used - 1) WHERE key_hash = wanted;
    END LOOP;
END
$$;

-- As which an address is known: one of IPv4, a /64 of IPv6; NULL for what is no address.
CREATE FUNCTION identity.address_hash(p_ip text) RETURNS bytea
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    address inet := app.parse_ip(p_ip);
BEGIN
    RETURN sha256(convert_to(
        network(set_masklen(address, CASE family(address) WHEN 4 THEN 32 ELSE 64 END))::text, 'UTF8'));
END
$$;

-- The device and the address that somebody has just proved to be theirs. An older secret of the same device is replaced: its budget
-- stays. At most twenty of each kind are kept.
CREATE FUNCTION identity.remember_device(p_user uuid, p_old_device bytea, p_new_device bytea, p_ip text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    address_key bytea := identity.address_hash(p_ip);
BEGIN
    -- One at a time for each person: two that come in at once would lock each other's rows in another order.
    PERFORM FROM identity.credentials WHERE user_id = p_user FOR UPDATE;

    IF p_new_device IS NOT NULL THEN
        UPDATE identity.known_devices
           SET key_hash = p_new_device, expires_at = now() + interval '180 days'
         WHERE user_id = p_user AND key_hash = p_old_device AND kind = 'device' AND expires_at > now();
        IF NOT FOUND THEN
            INSERT INTO identity.known_devices (user_id, kind, key_hash, expires_at)
            VALUES (p_user, 'device', p_new_device, now() + interval '180 days');
        END IF;
    END IF;

    IF address_key IS NOT NULL THEN
        INSERT INTO identity.known_devices (user_id, kind, key_hash, expires_at)
        VALUES (p_user, 'address', address_key, now() + interval '30 days')
        ON CONFLICT (user_id, key_hash) DO UPDATE SET expires_at = excluded.expires_at;
    END IF;

    DELETE FROM identity.known_devices
     WHERE id IN (
           SELECT ranked.id
             FROM (SELECT id, expires_at, row_number() OVER (PARTITION BY kind ORDER BY expires_at DESC, id DESC) AS place
                     FROM identity.known_devices
                    WHERE user_id = p_user) AS ranked
            WHERE ranked.place > 20 OR ranked.expires_at <= now());
END
$$;

-- ---------------------------------------------------------------- logging in

DROP FUNCTION identity.find_login(text);

-- Counts a try to log in and finds what the password is compared with, in one statement, the same for every address. A known device
-- is counted alone; from a known address the account has a bucket of its own, as large as everybody's.
CREATE FUNCTION identity.attempt_login(
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

-- A password that was reset by mail is a way in: the address from which that happened is known from then on, however many tries
-- others have made.
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

-- What is about security is told to every organisation of the person, and to the person by mail.
CREATE FUNCTION identity.tell_second_factor(p_user uuid, p_event text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM app.log_person_event(p_user, p_event, 'second_factor', p_user);
    PERFORM identity.queue_letter(
                'second_factor_changed', person.email, person.locale, NULL,
                jsonb_build_object('name', person.full_name, 'change', p_event), now() + interval '3 days')
       FROM public.users AS person
      WHERE person.id = p_user AND person.email IS NOT NULL;
END
$$;

-- Uses a code up: a time step that was not used yet, or a recovery code. False when the person has no second factor; refuses when
-- there is one and neither proves it. Of two calls at once with the same code one wins.
CREATE FUNCTION identity.use_second_factor(p_user uuid, p_step bigint, p_recovery bytea) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM FROM identity.second_factors WHERE user_id = p_user AND enabled_at IS NOT NULL FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;

    UPDATE identity.second_factors
       SET last_step = p_step
     WHERE user_id = p_user AND p_step IS NOT NULL AND (last_step IS NULL OR last_step < p_step);
    IF FOUND THEN
        RETURN true;
    END IF;

    UPDATE identity.recovery_codes
       SET used_at = now()
     WHERE user_id = p_user AND code_hash = p_recovery AND used_at IS NULL;
    IF FOUND THEN
        PERFORM identity.tell_second_factor(p_user, 'recovery_code_used');
        RETURN true;
    END IF;

    RAISE EXCEPTION 'the code of the second factor is not right'
        USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'second_factor_refused';
END
$$;

-- What a code is compared with at a login; the clock is the database's, so that all nodes agree. No row without a second factor.
CREATE FUNCTION identity.find_second_factor(p_user uuid) RETURNS TABLE (sealed_seed bytea, now_seconds bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    RETURN QUERY
        SELECT factor.sealed_seed, extract(epoch FROM clock_timestamp())::bigint
          FROM identity.second_factors AS factor
         WHERE factor.user_id = p_user AND factor.enabled_at IS NOT NULL;
END
$$;

-- Everything that a right password, and a right code where there is a second factor, brings about. The password was compared before,
-- without a lock: when it was changed since, this is refused as a wrong one is, and no session outlives the change.
CREATE FUNCTION identity.log_in(
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

-- ---------------------------------------------------------------- sessions

-- Refuses what app.begin_request refuses, but for the second factor that the organisation may require.
CREATE FUNCTION identity.check_session(p_session uuid, p_user uuid, p_org uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF app.active_role(p_org, p_user) IS NULL THEN
        RAISE EXCEPTION 'not an active member of this organisation'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'not_a_member';
    END IF;
    IF NOT EXISTS (
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
END
$$;

-- The same before a change, which the log shall show with who made it and whence. No organisation and no role are set: nothing opens.
CREATE FUNCTION identity.enter_session(
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

CREATE FUNCTION identity.list_sessions(p_session uuid, p_user uuid, p_org uuid, p_limit integer)
RETURNS TABLE (
    id                uuid,
    organization_id   uuid,
    organization_name text,
    organization_slug text,
    created_at        timestamptz,
    last_used_at      timestamptz,
    expires_at        timestamptz,
    ip                text,
    user_agent        text,
    method            text,
    second_factor_at  timestamptz,
    is_current        boolean
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM identity.check_session(p_session, p_user, p_org);
    RETURN QUERY
        SELECT session.id, session.organization_id, organization.name::text, organization.slug::text, session.created_at,
               session.last_used_at, session.expires_at, host(session.ip), session.user_agent, session.method::text,
               session.second_factor_at, session.id = p_session
          FROM identity.sessions AS session
          JOIN public.organizations AS organization ON organization.id = session.organization_id
          JOIN public.memberships AS membership
            ON membership.organization_id = session.organization_id
           AND membership.user_id = session.user_id
         WHERE session.user_id = p_user
           AND session.ended_at IS NULL
           AND session.expires_at > now()
           AND membership.status = 'active'
           AND organization.deleted_at IS NULL
         ORDER BY session.created_at DESC, session.id DESC
         LIMIT p_limit;
END
$$;

-- False for what is not a living session of this person.
CREATE FUNCTION identity.end_own_session(
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

CREATE FUNCTION identity.end_other_sessions(
    p_session uuid,
    p_user    uuid,
    p_org     uuid,
    p_ip      text,
    p_agent   text,
    p_request text
) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM identity.enter_session(p_session, p_user, p_org, p_ip, p_agent, p_request);
    RETURN identity.end_sessions(p_user, NULL, p_session, 'revoked');
END
$$;

-- In the transaction of a manager: `ended`, `unknown` for who is no member here, `forbidden` for whom the caller may not touch.
CREATE FUNCTION identity.end_member_sessions(p_member uuid) RETURNS text
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

-- ---------------------------------------------------------------- second factor

-- Everything that a change of the second factor is judged by.
CREATE FUNCTION identity.read_second_factor(p_session uuid, p_user uuid, p_org uuid)
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

-- Whether an organisation of the person lets nobody in without one.
CREATE FUNCTION identity.requires_second_factor(p_user uuid) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM public.memberships AS membership
          JOIN public.organizations AS organization ON organization.id = membership.organization_id
         WHERE membership.user_id = p_user
           AND membership.status = 'active'
           AND organization.require_second_factor
           AND organization.deleted_at IS NULL);
END
$$;

-- A seed that waits for its first code. Who has a second factor gives a code of it, and keeps it until the new one is confirmed.
CREATE FUNCTION identity.begin_second_factor(
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

-- Turns it on, or changes the seed, once a code has shown that the seed arrived; this session has given it, then. Turning it on ends the
-- person's other sessions: they began without it, and one of them may be why it is turned on.
CREATE FUNCTION identity.confirm_second_factor(
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

CREATE FUNCTION identity.store_recovery_codes(p_user uuid, p_codes bytea[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    DELETE FROM identity.recovery_codes WHERE user_id = p_user;
    INSERT INTO identity.recovery_codes (user_id, code_hash) SELECT p_user, unnest(p_codes);
END
$$;

-- New recovery codes; the old ones work no more, used or not.
CREATE FUNCTION identity.replace_recovery_codes(
    p_session  uuid,
    p_user     uuid,
    p_org      uuid,
    p_ip       text,
    p_agent    text,
    p_request  text,
    p_step     bigint,
    p_recovery bytea,
    p_codes    bytea[]
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM identity.enter_session(p_session, p_user, p_org, p_ip, p_agent, p_request);
    IF NOT identity.use_second_factor(p_user, p_step, p_recovery) THEN
        RAISE EXCEPTION 'there is no second factor'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'second_factor_not_begun';
    END IF;
    PERFORM identity.store_recovery_codes(p_user, p_codes);
    PERFORM identity.tell_second_factor(p_user, 'recovery_codes_replaced');
END
$$;

-- A session that began without the second factor has given it from now on.
CREATE FUNCTION identity.verify_second_factor(
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
    UPDATE identity.sessions SET second_factor_at = now() WHERE id = p_session;
    PERFORM app.log_event(p_org, p_user, 'second_factor_given', 'session', p_session, NULL, NULL, p_session);
END
$$;

-- Turns it off, unless an organisation of the person requires one; sessions and API tokens have given none, then.
CREATE FUNCTION identity.disable_second_factor(
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

SELECT app.seal_functions();
GRANT EXECUTE ON FUNCTION identity.take_attempt(bytea[], double precision[], double precision[]) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.return_attempt(bytea[]) TO crm_app;
GRANT EXECUTE ON FUNCTION
    identity.attempt_login(text, bytea, text, bytea[], double precision[], double precision[]) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.find_second_factor(uuid) TO crm_app;
GRANT EXECUTE ON FUNCTION
    identity.log_in(uuid, text, uuid, bytea, integer, integer, text, text, bigint, bytea, bytea[], bytea, bytea) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.list_sessions(uuid, uuid, uuid, integer) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.end_own_session(uuid, uuid, uuid, text, text, text, uuid) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.end_other_sessions(uuid, uuid, uuid, text, text, text) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.end_member_sessions(uuid) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.read_second_factor(uuid, uuid, uuid) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.begin_second_factor(uuid, uuid, uuid, text, text, text, bigint, bytea, bytea) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.confirm_second_factor(uuid, uuid, uuid, text, text, text, bytea, bigint, bytea[]) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.replace_recovery_codes(uuid, uuid, uuid, text, text, text, bigint, bytea, bytea[]) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.verify_second_factor(uuid, uuid, uuid, text, text, text, bigint, bytea) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.disable_second_factor(uuid, uuid, uuid, text, text, text, bigint, bytea) TO crm_app;
