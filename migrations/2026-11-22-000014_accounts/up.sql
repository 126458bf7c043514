-- Accounts: sign-up confirmed by mail, forgotten and changed passwords, changed addresses, the profile; and the queue of letters as
-- the process that sends them uses it.
--
-- What must stay true:
--   * Whether an address has an account is never answered: for both cases the same rows are written and one letter is queued.
--   * A sign-up is confirmed by the link and the password together: whoever reads the mail of an address makes nobody else's password
--     open an account for it.
--   * A link works once. Its row holds the hash of its secret, so a copy of the database opens nothing.
--   * A person's address is changed by whoever proved to receive mail there, and by nobody else.
--   * No letter is lost: it is queued in the transaction of its cause, and claimed again when whoever claimed it is silent.

-- ---------------------------------------------------------------- tables

-- People who have not confirmed yet. Several rows may live for one address: each of them is answered by its own letter, and the first
-- one confirmed ends the others.
CREATE TABLE identity.registrations (
    id                uuid         NOT NULL,
    email             varchar(255) NOT NULL,
    password_hash     text         NOT NULL,
    full_name         varchar(255) NOT NULL,
    organization_name varchar(255) NOT NULL,
    slug              varchar(100) NOT NULL,
    slug_chosen       boolean      NOT NULL,  -- by the person; otherwise made from the name, and any free one will do
    time_zone         varchar(64)  NOT NULL,
    country           varchar(2),
    default_currency  varchar(3)   NOT NULL,
    locale            varchar(35)  NOT NULL,
    secret_hash       bytea        NOT NULL,
    created_at        timestamptz  NOT NULL DEFAULT now(),
    expires_at        timestamptz  NOT NULL DEFAULT now() + interval '24 hours',
    used_at           timestamptz,  -- also when there was nothing to confirm
    CONSTRAINT registrations_pkey PRIMARY KEY (id),
    CONSTRAINT registrations_email_lower CHECK (email = lower(email)),
    CONSTRAINT registrations_secret_hash_length CHECK (octet_length(secret_hash) = 32)
);
CREATE INDEX registrations_email ON identity.registrations (email, created_at);
CREATE INDEX registrations_expires ON identity.registrations (expires_at);

-- Links of people who have an account, or were thought to: to a new password, or to a new address.
CREATE TABLE identity.links (
    id          uuid         NOT NULL,
    purpose     varchar(20)  NOT NULL,
    user_id     uuid,                  -- NULL: nobody has this address. No foreign key: its check takes time for those who exist
    email       varchar(255) NOT NULL, -- where the letter went
    secret_hash bytea        NOT NULL,
    created_at  timestamptz  NOT NULL DEFAULT now(),
    expires_at  timestamptz  NOT NULL,
    used_at     timestamptz,           -- also when there was nothing to open, or something else closed it
    CONSTRAINT links_pkey PRIMARY KEY (id),
    CONSTRAINT links_purpose_known CHECK (purpose IN ('reset_password', 'confirm_email')),
    CONSTRAINT links_email_lower CHECK (email = lower(email)),
    CONSTRAINT links_secret_hash_length CHECK (octet_length(secret_hash) = 32)
);
CREATE INDEX links_email ON identity.links (email, created_at);
CREATE INDEX links_user ON identity.links (user_id, created_at);
CREATE INDEX links_expires ON identity.links (expires_at);

DO $$
DECLARE
    secret_table text;
BEGIN
    FOREACH secret_table IN ARRAY ARRAY['registrations', 'links'] LOOP
        EXECUTE format('ALTER TABLE identity.%I OWNER TO crm_owner', secret_table);
        EXECUTE format('ALTER TABLE identity.%I ENABLE ROW LEVEL SECURITY', secret_table);
        EXECUTE format('ALTER TABLE identity.%I FORCE ROW LEVEL SECURITY', secret_table);
        EXECUTE format(
            'CREATE POLICY definer_all ON identity.%I TO crm_definer USING (true) WITH CHECK (true)', secret_table);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON identity.%I TO crm_definer', secret_table);
    END LOOP;
END
$$;

-- For housekeeping: what has served is kept for a while, for whoever asks where a letter is.
CREATE INDEX letters_done ON identity.letters (coalesce(sent_at, failed_at, expires_at));

-- ---------------------------------------------------------------- the queue of letters

-- Letters that are due, for one process alone until the lease ends. `gave_up` says of a letter that it will not be tried again: it was
-- tried too often, by processes that died of it too, or what it says is no longer so.
CREATE FUNCTION identity.claim_letters(p_limit integer, p_lease_seconds integer)
RETURNS TABLE (
    id uuid, kind text, recipient text, locale text, secret_id uuid, details jsonb, attempts integer, gave_up boolean, last_error text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    RETURN QUERY
        WITH due AS (
            SELECT letter.id, letter.expires_at <= now() AS is_late, letter.attempts >= 12 AS is_tired
              FROM identity.letters AS letter
             WHERE letter.sent_at IS NULL
               AND letter.failed_at IS NULL
               AND letter.due_at <= now()
             ORDER BY letter.due_at
             LIMIT p_limit
               FOR UPDATE SKIP LOCKED
        )
        UPDATE identity.letters AS letter
           SET attempts   = letter.attempts + CASE WHEN due.is_late OR due.is_tired THEN 0 ELSE 1 END,
               due_at     = now() + make_interval(secs => p_lease_seconds),
               failed_at  = CASE WHEN due.is_late OR due.is_tired THEN now() END,
               last_error = CASE WHEN due.is_late THEN coalesce(letter.last_error, 'it expired before it could be sent')
                                 WHEN due.is_tired THEN coalesce(letter.last_error, 'it was tried too often')
                                 ELSE letter.last_error
                            END
          FROM due
         WHERE letter.id = due.id
        RETURNING letter.id, letter.kind::text, letter.recipient::text, letter.locale::text, letter.secret_id, letter.details,
                  letter.attempts, letter.failed_at IS NOT NULL, letter.last_error;
END
$$;

CREATE FUNCTION identity.letter_sent(p_id uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    UPDATE identity.letters SET sent_at = now(), last_error = NULL WHERE id = p_id AND sent_at IS NULL;
END
$$;

-- Whether it was given up. Otherwise it is due again after twice the time of the last try, an hour at most, give or take a half, so that
-- a server that comes back is not met by all letters at once.
CREATE FUNCTION identity.letter_failed(p_id uuid, p_error text, p_retryable boolean) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    gave_up boolean;
BEGIN
    UPDATE identity.letters AS letter
       SET last_error = left(p_error, 500),
           due_at     = retry.due_at,
           failed_at  = CASE WHEN NOT p_retryable OR letter.attempts >= 12 OR retry.due_at >= letter.expires_at THEN now() END
      FROM (SELECT known.id,
                   now() + least(interval '1 hour', interval '15 seconds' * 2 ^ least(known.attempts - 1, 10)) * (0.5 + random())
                       AS due_at
              FROM identity.letters AS known
             WHERE known.id = p_id) AS retry
     WHERE letter.id = retry.id
       AND letter.sent_at IS NULL
       AND letter.failed_at IS NULL
    RETURNING letter.failed_at IS NOT NULL INTO gave_up;
    RETURN coalesce(gave_up, false);
END
$$;

-- ---------------------------------------------------------------- signing up

-- Three letters an hour to one address, whoever asks: enough for somebody who is impatient, and no flood.
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

-- What the password of whoever confirms is compared with; no row when the link opens nothing.
CREATE FUNCTION identity.find_registration(p_id uuid, p_secret_hash bytea) RETURNS TABLE (password_hash text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    RETURN QUERY
        SELECT pending.password_hash
          FROM identity.registrations AS pending
         WHERE pending.id = p_id
           AND pending.secret_hash = p_secret_hash
           AND pending.used_at IS NULL
           AND pending.expires_at > now()
           AND NOT EXISTS (SELECT FROM public.users AS person WHERE person.email = pending.email);
END
$$;

-- Makes the person and the organisation; no row when the link opens nothing. p_slug is the person's second choice.
CREATE FUNCTION identity.confirm_registration(p_id uuid, p_secret_hash bytea, p_slug text)
RETURNS TABLE (user_id uuid, organization_id uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    pending   identity.registrations;
    person    uuid;
    new_org   uuid;
    wanted    text;
    candidate text;
    attempt   integer := 1;
BEGIN
    SELECT * INTO pending FROM identity.registrations WHERE id = p_id AND secret_hash = p_secret_hash;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('identity.registrations ' || pending.email, 0));
    SELECT * INTO pending FROM identity.registrations WHERE id = p_id FOR UPDATE;
    IF NOT FOUND OR pending.used_at IS NOT NULL OR pending.expires_at <= now() THEN
        RETURN;
    END IF;

    INSERT INTO public.users (email, full_name, time_zone, locale)
    VALUES (pending.email, pending.full_name, pending.time_zone, pending.locale)
    ON CONFLICT (email) DO NOTHING
    RETURNING id INTO person;
    IF person IS NULL THEN
        RETURN;  -- somebody came in otherwise meanwhile, such as by an invitation, and this password is not theirs to have
    END IF;
    INSERT INTO identity.credentials (user_id, password_hash) VALUES (person, pending.password_hash);
    UPDATE identity.registrations SET used_at = now() WHERE email = pending.email AND used_at IS NULL;

    -- What the log says of the organisation's beginning was this person's doing.
    EXECUTE format('SET LOCAL app.user_id = %L', person);
    wanted := coalesce(p_slug, pending.slug);
    candidate := wanted;
    LOOP
        BEGIN
            SELECT made.organization_id
              INTO new_org
              FROM app.create_organization(
                       pending.organization_name, candidate, pending.default_currency, pending.time_zone, pending.email,
                       pending.full_name, NULL) AS made;
            EXIT;
        EXCEPTION WHEN unique_violation THEN
            IF p_slug IS NOT NULL OR pending.slug_chosen THEN
                RAISE;
            END IF;
            attempt := attempt + 1;
            -- After a few numbers something that is certainly free.
            candidate := wanted || '-' || CASE WHEN attempt <= 20 THEN attempt::text
                                               ELSE left(replace(gen_random_uuid()::text, '-', ''), 12)
                                          END;
        END;
    END LOOP;
    IF pending.country IS NOT NULL THEN
        UPDATE public.organizations SET country = pending.country WHERE id = new_org;
    END IF;
    RETURN QUERY SELECT person, new_org;
END
$$;

-- ---------------------------------------------------------------- passwords

CREATE FUNCTION identity.request_password_reset(p_id uuid, p_secret_hash bytea, p_email text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    address text := lower(p_email);
    person  public.users;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('identity.links ' || address, 0));
    IF (SELECT count(*)
          FROM identity.links
         WHERE email = address AND purpose = 'reset_password' AND created_at > now() - interval '1 hour') >= 3
    THEN
        RETURN;
    END IF;
    SELECT * INTO person FROM public.users WHERE email = address AND deleted_at IS NULL;

    INSERT INTO identity.links (id, purpose, user_id, email, secret_hash, expires_at, used_at)
    VALUES (p_id, 'reset_password', person.id, address, p_secret_hash, now() + interval '1 hour',
            CASE WHEN person.id IS NULL THEN now() END);
    PERFORM identity.queue_letter(
        CASE WHEN person.id IS NULL THEN 'no_account' ELSE 'reset_password' END, address, person.locale,
        CASE WHEN person.id IS NOT NULL THEN p_id END,
        CASE WHEN person.id IS NOT NULL THEN jsonb_build_object('name', person.full_name) END,
        now() + interval '1 hour');
END
$$;

-- Whom a live link is for, so that a new password can be judged; no row when it opens nothing.
CREATE FUNCTION identity.find_reset(p_id uuid, p_secret_hash bytea) RETURNS TABLE (email text, full_name text)
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

-- The new password, and what follows from it: every session of the person ends, no other link stays open, and they are told by mail.
-- API tokens stay: they belong to integrations, which their owner would find broken; the letter says so.
CREATE FUNCTION identity.replace_password(p_user uuid, p_password_hash text, p_event text, p_ip text, p_agent text, p_request text)
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

CREATE FUNCTION identity.reset_password(
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
    RETURN true;
END
$$;

-- The caller's own, inside a transaction of theirs.
CREATE FUNCTION identity.own_password() RETURNS TABLE (email text, full_name text, password_hash text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    RETURN QUERY
        SELECT person.email::text, person.full_name::text, credential.password_hash
          FROM public.users AS person
          LEFT JOIN identity.credentials AS credential ON credential.user_id = person.id
         WHERE person.id = app.user_id();
END
$$;

-- No row when the password is no longer the one that the caller has proved to know. Answers whether the session that ends with the
-- others had a second factor: the one that follows it has it too.
CREATE FUNCTION identity.change_password(p_known_hash text, p_password_hash text) RETURNS TABLE (second_factor boolean)
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

-- ---------------------------------------------------------------- addresses

-- For the caller. Whether the new address is somebody's already is told by the letter, to its holder alone.
CREATE FUNCTION identity.request_email_change(p_id uuid, p_secret_hash bytea, p_email text) RETURNS void
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

-- Whether the link opened anything; a unique violation when the address was taken meanwhile.
CREATE FUNCTION identity.confirm_email_change(p_id uuid, p_secret_hash bytea, p_ip text, p_agent text, p_request text) RETURNS boolean
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

-- ---------------------------------------------------------------- the profile

-- The caller's; NULL leaves a value as it is.
CREATE FUNCTION identity.update_profile(p_full_name text, p_time_zone text, p_locale text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    -- A CHECK cannot ask this view; an unknown zone would fail every question about today.
    IF p_time_zone IS NOT NULL AND NOT EXISTS (SELECT FROM pg_timezone_names WHERE name = p_time_zone) THEN
        RAISE EXCEPTION 'unknown time zone'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'time_zone_unknown', COLUMN = 'time_zone';
    END IF;
    UPDATE public.users
       SET full_name  = coalesce(p_full_name, full_name),
           time_zone  = coalesce(p_time_zone, time_zone),
           locale     = coalesce(p_locale, locale),
           updated_at = now()
     WHERE id = app.user_id()
       AND (full_name, time_zone, locale)
           IS DISTINCT FROM (coalesce(p_full_name, full_name), coalesce(p_time_zone, time_zone), coalesce(p_locale, locale));
    IF FOUND THEN
        PERFORM app.log_person_event(app.user_id(), 'updated', 'user', app.user_id());
    END IF;
END
$$;

SELECT app.seal_functions();
GRANT EXECUTE ON FUNCTION identity.claim_letters(integer, integer) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.letter_sent(uuid) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.letter_failed(uuid, text, boolean) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.request_registration(
    uuid, bytea, text, text, text, text, text, boolean, text, text, text, text, boolean) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.find_registration(uuid, bytea) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.confirm_registration(uuid, bytea, text) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.request_password_reset(uuid, bytea, text) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.find_reset(uuid, bytea) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.reset_password(uuid, bytea, text, text, text, text) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.own_password() TO crm_app;
GRANT EXECUTE ON FUNCTION identity.change_password(text, text) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.request_email_change(uuid, bytea, text) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.confirm_email_change(uuid, bytea, text, text, text) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.update_profile(text, text, text) TO crm_app;
