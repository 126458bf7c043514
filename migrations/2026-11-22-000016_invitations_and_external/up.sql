-- Invitations to an organisation, and identities that people have at external providers.
--
-- What must stay true:
--   * An invitation opens with the secret of its latest letter, once, until it expires, and only while whoever sent it may still invite.
--     The database knows the hash of the secret.
--   * An invitation is for one address. Somebody who has an account proves to be its person; the letter alone does not.
--   * An external identity is an issuer and a subject. No address that a provider names ever decides who somebody is.
--   * Nobody is left without a way in.

-- ---------------------------------------------------------------- invitations

CREATE TABLE identity.invitations (
    organization_id uuid          NOT NULL,
    id              uuid          NOT NULL DEFAULT app.uuid7(),
    email           varchar(255)  NOT NULL,
    role            varchar(20)   NOT NULL,
    title           varchar(100),
    team_id         uuid,
    manager_id      uuid,
    secret_id       uuid          NOT NULL,  -- names the link; another letter has another one
    secret_hash     bytea         NOT NULL,
    invited_by_id   uuid          NOT NULL,  -- who sent the latest letter, and answers for it
    sent_at         timestamptz   NOT NULL DEFAULT now(),
    sent_lately     timestamptz[] NOT NULL DEFAULT '{}',  -- the letters of the last hour
    proofs          integer       NOT NULL DEFAULT 0,  -- passwords that were tried with it
    expires_at      timestamptz   NOT NULL,
    closed_at       timestamptz,
    closed_as       varchar(20),
    accepted_by_id  uuid,
    created_at      timestamptz   NOT NULL DEFAULT now(),
    updated_at      timestamptz   NOT NULL DEFAULT now(),
    version         integer       NOT NULL DEFAULT 1,
    CONSTRAINT invitations_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT invitations_secret_id_key UNIQUE (secret_id),
    CONSTRAINT invitations_email_lower CHECK (email = lower(email)),
    CONSTRAINT invitations_email_length CHECK (length(btrim(email)) > 0),
    CONSTRAINT invitations_role_known CHECK (role IN ('owner', 'admin', 'member', 'viewer')),
    CONSTRAINT invitations_secret_hash_length CHECK (octet_length(secret_hash) = 32),
    CONSTRAINT invitations_closed_as_known CHECK (closed_as IN ('accepted', 'revoked', 'expired')),
    CONSTRAINT invitations_closed_at_given CHECK ((closed_at IS NULL) = (closed_as IS NULL)),
    CONSTRAINT invitations_accepted_by_id_given CHECK ((accepted_by_id IS NOT NULL) = (closed_as IS NOT DISTINCT FROM 'accepted')),
    CONSTRAINT invitations_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations (id),
    CONSTRAINT invitations_team_id_fkey FOREIGN KEY (organization_id, team_id) REFERENCES teams (organization_id, id),
    CONSTRAINT invitations_manager_id_fkey FOREIGN KEY (organization_id, manager_id)
        REFERENCES memberships (organization_id, user_id),
    CONSTRAINT invitations_invited_by_id_fkey FOREIGN KEY (organization_id, invited_by_id)
        REFERENCES memberships (organization_id, user_id),
    CONSTRAINT invitations_accepted_by_id_fkey FOREIGN KEY (organization_id, accepted_by_id)
        REFERENCES memberships (organization_id, user_id)
);
CREATE UNIQUE INDEX invitations_email_open ON identity.invitations (organization_id, email) WHERE closed_as IS NULL;
CREATE INDEX invitations_email ON identity.invitations (organization_id, email);
CREATE INDEX invitations_sent ON identity.invitations (organization_id, sent_at);
CREATE INDEX invitations_outdated ON identity.invitations (coalesce(closed_at, expires_at));

-- ---------------------------------------------------------------- external identities

CREATE TABLE identity.external_identities (
    id           uuid         NOT NULL DEFAULT app.uuid7(),
    user_id      uuid         NOT NULL,
    provider     varchar(100) NOT NULL,  -- its name in the configuration when it was linked
    issuer       varchar(500) NOT NULL,
    subject      varchar(255) NOT NULL,
    created_at   timestamptz  NOT NULL DEFAULT now(),
    last_used_at timestamptz,
    CONSTRAINT external_identities_pkey PRIMARY KEY (id),
    CONSTRAINT external_identities_subject_key UNIQUE (issuer, subject),
    CONSTRAINT external_identities_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id)
);
CREATE INDEX external_identities_user ON identity.external_identities (user_id);

-- Tokens of providers whose tokens are good for one use, until they would have expired anyway.
CREATE TABLE identity.external_tokens (
    issuer     varchar(500) NOT NULL,
    token_hash bytea        NOT NULL,  -- of the token's id
    expires_at timestamptz  NOT NULL,
    CONSTRAINT external_tokens_pkey PRIMARY KEY (issuer, token_hash),
    CONSTRAINT external_tokens_token_hash_length CHECK (octet_length(token_hash) = 32)
);
CREATE INDEX external_tokens_expired ON identity.external_tokens (expires_at);

DO $$
DECLARE
    secret_table text;
BEGIN
    FOREACH secret_table IN ARRAY ARRAY['invitations', 'external_identities', 'external_tokens'] LOOP
        EXECUTE format('ALTER TABLE identity.%I OWNER TO crm_owner', secret_table);
        EXECUTE format('ALTER TABLE identity.%I ENABLE ROW LEVEL SECURITY', secret_table);
        EXECUTE format('ALTER TABLE identity.%I FORCE ROW LEVEL SECURITY', secret_table);
        EXECUTE format(
            'CREATE POLICY definer_all ON identity.%I TO crm_definer USING (true) WITH CHECK (true)', secret_table);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON identity.%I TO crm_definer', secret_table);
    END LOOP;
END
$$;
GRANT DELETE ON identity.invitations, identity.external_identities, identity.external_tokens TO crm_definer;

SELECT app.install_tracking('identity.invitations', 'invitation', 'r.email', status_column => 'closed_as',
                            hidden => ARRAY['secret_id', 'secret_hash', 'sent_at', 'sent_lately', 'proofs']);

-- Without the secret, for owners and admins. An invitation whose sender may no longer invite has expired with that.
CREATE VIEW q_invitations AS
SELECT invitation.organization_id,
       invitation.id,
       invitation.email,
       invitation.role,
       invitation.title,
       invitation.team_id,
       invitation.manager_id,
       CASE WHEN invitation.closed_as IS NOT NULL THEN invitation.closed_as
            WHEN invitation.expires_at > now()
                 AND inviter.status = 'active'
                 AND person.deleted_at IS NULL
                 AND (inviter.role = 'owner' OR (inviter.role = 'admin' AND invitation.role <> 'owner'))
            THEN 'pending'
            ELSE 'expired'
       END AS status,
       invitation.invited_by_id,
       invitation.accepted_by_id,
       invitation.sent_at,
       invitation.expires_at,
       invitation.closed_at,
       invitation.created_at,
       invitation.updated_at,
       invitation.version
  FROM (SELECT * FROM identity.invitations WHERE app.is_manager()) AS invitation
  JOIN memberships AS inviter
    ON inviter.organization_id = invitation.organization_id
   AND inviter.user_id = invitation.invited_by_id
  JOIN users AS person
    ON person.id = invitation.invited_by_id
 WHERE invitation.organization_id = app.org_id()
   AND app.role() IS NOT NULL;
ALTER VIEW q_invitations OWNER TO crm_definer;
GRANT SELECT ON q_invitations TO crm_app;

-- ---------------------------------------------------------------- who may invite, and how often

-- Owners invite everybody, admins everybody below an owner.
CREATE FUNCTION identity.may_invite(p_inviter_role text, p_role text) RETURNS boolean
LANGUAGE sql IMMUTABLE
AS $$ SELECT coalesce(p_inviter_role = 'owner' OR (p_inviter_role = 'admin' AND p_role <> 'owner'), false) $$;

-- Of the caller's transaction. An owner who is suspended is an owner's to call back.
CREATE FUNCTION identity.require_inviter(p_org uuid, p_email text, p_role text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF NOT identity.may_invite(app.role(), p_role)
       OR (app.role() <> 'owner' AND EXISTS (
               SELECT
                 FROM public.memberships AS membership
                 JOIN public.users AS person ON person.id = membership.user_id
                WHERE membership.organization_id = p_org
                  AND person.email = p_email
                  AND membership.role = 'owner'
                  AND membership.status = 'suspended'))
    THEN
        RAISE EXCEPTION 'only an owner may invite an owner'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'invitation_forbidden';
    END IF;
END
$$;

-- Serialises the invitations of one organisation, so that what is counted stays counted, and refuses the letter that is one too
-- many: for one address, or for all of them.
CREATE FUNCTION identity.limit_invitations(p_org uuid, p_email text) RETURNS void
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

CREATE FUNCTION identity.refuse_member(p_org uuid, p_email text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF EXISTS (
        SELECT
          FROM public.memberships AS membership
          JOIN public.users AS person ON person.id = membership.user_id
         WHERE membership.organization_id = p_org
           AND person.email = p_email
           AND membership.status = 'active')
    THEN
        RAISE EXCEPTION 'already a member'
            USING ERRCODE = 'unique_violation', CONSTRAINT = 'invitations_email_member';
    END IF;
END
$$;

CREATE FUNCTION identity.queue_invitation(p_invitation identity.invitations) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
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
END
$$;

-- ---------------------------------------------------------------- inviting; in the transaction of an owner or admin

CREATE FUNCTION identity.invite(
    p_id          uuid,
    p_email       text,
    p_role        text,
    p_title       text,
    p_team        uuid,
    p_manager     uuid,
    p_secret_id   uuid,
    p_secret_hash bytea,
    p_seconds     integer
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    org            uuid := app.org_id();
    address        text := lower(p_email);
    manager_status text;
    made           identity.invitations;
BEGIN
    PERFORM identity.refuse_api_tokens();
    PERFORM identity.require_inviter(org, address, p_role);

    -- Another organisation's manager is not found here, and the foreign key refuses it like one that never was.
    SELECT status INTO manager_status FROM public.memberships WHERE organization_id = org AND user_id = p_manager;
    IF manager_status <> 'active' THEN
        RAISE EXCEPTION 'the manager is not an active member'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'owner_not_active', COLUMN = 'manager_id';
    ELSIF p_manager IS NOT NULL AND manager_status IS NULL THEN
        RAISE EXCEPTION 'no such member'
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'invitations_manager_id_fkey';
    END IF;
    IF p_team IS NOT NULL AND NOT EXISTS (
        SELECT FROM public.teams WHERE organization_id = org AND id = p_team AND deleted_at IS NULL)
    THEN
        RAISE EXCEPTION 'no such team'
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'invitations_team_id_fkey';
    END IF;

    PERFORM identity.refuse_member(org, address);
    PERFORM identity.limit_invitations(org, address);

    -- What has expired makes room.
    UPDATE identity.invitations AS invitation
       SET closed_at = now(), closed_as = 'expired'
      FROM public.q_invitations AS judged
     WHERE invitation.organization_id = org
       AND invitation.email = address
       AND invitation.closed_as IS NULL
       AND judged.organization_id = org
       AND judged.id = invitation.id
       AND judged.status = 'expired';

    IF (SELECT count(*)
          FROM identity.invitations
         WHERE organization_id = org AND closed_as IS NULL AND expires_at > now()) >= 500
    THEN
        RAISE EXCEPTION 'too many invitations are pending'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'invitations_pending_limited';
    END IF;

    INSERT INTO identity.invitations (
        organization_id, id, email, role, title, team_id, manager_id, secret_id, secret_hash, invited_by_id, sent_lately, expires_at)
    VALUES (
        org, p_id, address, p_role, p_title, p_team, p_manager, p_secret_id, p_secret_hash, app.user_id(), ARRAY[now()],
        now() + make_interval(secs => p_seconds))
    RETURNING * INTO made;
    PERFORM identity.queue_invitation(made);
END
$$;

-- Whether there is one, for callers who may know no more than that.
CREATE FUNCTION identity.invitation_exists(p_id uuid) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM identity.invitations WHERE organization_id = app.org_id() AND id = p_id);
END
$$;

-- The row, locked, for a change by the caller.
CREATE FUNCTION identity.hold_invitation(p_id uuid) RETURNS identity.invitations
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

-- Another letter with another secret, from whoever asks for it; the link of the one before is dead.
CREATE FUNCTION identity.resend_invitation(p_id uuid, p_secret_id uuid, p_secret_hash bytea, p_seconds integer) RETURNS void
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

-- Revoking what is revoked, or has expired, is no fault; what was accepted has made a member.
CREATE FUNCTION identity.revoke_invitation(p_id uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    held identity.invitations := identity.hold_invitation(p_id);
BEGIN
    IF held.closed_as = 'accepted' THEN
        RAISE EXCEPTION 'the invitation was accepted'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'invitation_closed';
    END IF;
    UPDATE identity.invitations
       SET closed_at = now(), closed_as = 'revoked'
     WHERE organization_id = held.organization_id AND id = held.id AND closed_as IS NULL;
END
$$;

-- ---------------------------------------------------------------- accepting; for whoever holds the secret

-- The invitation that a secret opens; all NULL when it opens none.
CREATE FUNCTION identity.open_invitation(p_secret_id uuid, p_secret_hash bytea) RETURNS identity.invitations
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    opened identity.invitations;
BEGIN
    SELECT invitation.*
      INTO opened
      FROM identity.invitations AS invitation
     WHERE invitation.secret_id = p_secret_id
       AND invitation.secret_hash = p_secret_hash
       AND invitation.closed_as IS NULL
       AND invitation.expires_at > now()
       AND identity.may_invite(app.active_role(invitation.organization_id, invitation.invited_by_id), invitation.role);
    RETURN opened;
END
$$;

-- What the holder of a link may know, and what the application needs to have the person prove who they are. A person without any way
-- in chooses a password: the letter is all that a forgotten one would ask for, too.
CREATE FUNCTION identity.find_invitation(p_secret_id uuid, p_secret_hash bytea)
RETURNS TABLE (organization_name text, email text, role text, inviter_name text, user_id uuid, password_hash text, has_identity boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    opened identity.invitations := identity.open_invitation(p_secret_id, p_secret_hash);
BEGIN
    RETURN QUERY
        SELECT organization.name::text, opened.email::text, opened.role::text, inviter.full_name::text,
               person.id, credential.password_hash,
               EXISTS (SELECT FROM identity.external_identities AS known WHERE known.user_id = person.id)
          FROM public.organizations AS organization
          JOIN public.users AS inviter ON inviter.id = opened.invited_by_id
          LEFT JOIN public.users AS person ON person.email = opened.email
          LEFT JOIN identity.credentials AS credential ON credential.user_id = person.id
         WHERE organization.id = opened.organization_id
           AND person.deleted_at IS NULL;
END
$$;

-- Counts a password that is about to be tried; false when ten were, for good: then only a session of the person opens it. Whoever has
-- read the letter must not guess on.
CREATE FUNCTION identity.count_proof(p_secret_id uuid, p_secret_hash bytea) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    UPDATE identity.invitations
       SET proofs = proofs + 1
     WHERE secret_id = p_secret_id
       AND secret_hash = p_secret_hash
       AND proofs < 10;
    RETURN FOUND;
END
$$;

-- Locks the invitation that a secret opens: of two who come at once one enters, and the other finds it closed.
CREATE FUNCTION identity.take_invitation(p_secret_id uuid, p_secret_hash bytea) RETURNS identity.invitations
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    taken identity.invitations;
BEGIN
    PERFORM FROM identity.invitations WHERE secret_id = p_secret_id FOR UPDATE;
    taken := identity.open_invitation(p_secret_id, p_secret_hash);
    IF taken.id IS NULL THEN
        RAISE EXCEPTION 'no such invitation'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'invitation_unknown';
    END IF;
    RETURN taken;
END
$$;

-- Makes the person a member, or one again. What has left the organisation since the invitation was written is left out.
CREATE FUNCTION identity.enter_by_invitation(p_invitation identity.invitations, p_person uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    org     uuid := p_invitation.organization_id;
    manager uuid;
    team    uuid;
BEGIN
    -- Roles change under this lock: whoever lost the right to invite while this waited for it has lost it here too.
    PERFORM FROM public.organizations WHERE id = org FOR NO KEY UPDATE;
    IF identity.may_invite(app.active_role(org, p_invitation.invited_by_id), p_invitation.role) IS NOT TRUE THEN
        RAISE EXCEPTION 'no such invitation'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'invitation_unknown';
    END IF;

    -- Somebody may have become a suspended owner since an admin wrote this.
    IF app.active_role(org, p_invitation.invited_by_id) IS DISTINCT FROM 'owner' AND EXISTS (
        SELECT FROM public.memberships
         WHERE organization_id = org AND user_id = p_person AND role = 'owner' AND status = 'suspended')
    THEN
        RAISE EXCEPTION 'no such invitation'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'invitation_unknown';
    END IF;

    SELECT membership.user_id
      INTO manager
      FROM public.memberships AS membership
     WHERE membership.organization_id = org
       AND membership.user_id = p_invitation.manager_id
       AND membership.user_id <> p_person
       AND membership.status = 'active';
    SELECT id
      INTO team
      FROM public.teams
     WHERE organization_id = org AND id = p_invitation.team_id AND deleted_at IS NULL;

    INSERT INTO public.memberships AS membership (organization_id, user_id, role, title, manager_id, team_id)
    VALUES (org, p_person, p_invitation.role, p_invitation.title, manager, team)
    ON CONFLICT (organization_id, user_id) DO UPDATE
       SET role = EXCLUDED.role,
           status = 'active',
           title = coalesce(EXCLUDED.title, membership.title),
           manager_id = EXCLUDED.manager_id,
           team_id = EXCLUDED.team_id
     WHERE membership.status <> 'active';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'already a member'
            USING ERRCODE = 'unique_violation', CONSTRAINT = 'invitations_email_member';
    END IF;

    UPDATE identity.invitations
       SET closed_at = now(), closed_as = 'accepted', accepted_by_id = p_person
     WHERE organization_id = org AND id = p_invitation.id;
END
$$;

-- The rest of the transaction is done by this person, in the log as well. It gives no role: nothing opens with it.
CREATE FUNCTION identity.act_as(p_user uuid, p_ip text, p_agent text, p_request text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    EXECUTE format(
        'SET LOCAL app.user_id = %L; SET LOCAL app.actor_kind = %L; SET LOCAL app.ip = %L; SET LOCAL app.user_agent = %L;'
        'SET LOCAL app.request_id = %L',
        p_user, 'user', coalesce(host(app.parse_ip(p_ip)), ''), left(coalesce(p_agent, ''), 300), left(coalesce(p_request, ''), 128));
END
$$;

-- ---------------------------------------------------------------- external identities: the parts

-- A token that is good for one use is written down for as long as it lives; every use sweeps some that have expired.
CREATE FUNCTION identity.spend_external_token(p_issuer text, p_token_hash bytea, p_expires timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF p_token_hash IS NULL THEN
        RETURN;  -- of a provider whose tokens may be shown again
    END IF;
    DELETE FROM identity.external_tokens
     WHERE (issuer, token_hash) IN (
           SELECT issuer, token_hash
             FROM identity.external_tokens
            WHERE expires_at < now()
            ORDER BY expires_at
            LIMIT 100
              FOR UPDATE SKIP LOCKED);
    INSERT INTO identity.external_tokens (issuer, token_hash, expires_at)
    VALUES (p_issuer, p_token_hash, p_expires)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the token was used before'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'external_refused';
    END IF;
END
$$;

-- Links an identity to a person, in the log and with a letter. Linking what is linked to the same person changes nothing.
CREATE FUNCTION identity.link_person(p_user uuid, p_provider text, p_issuer text, p_subject text) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    linked     uuid;
    known_user uuid;
BEGIN
    -- The row of the person is what linking and unlinking take turns at.
    PERFORM FROM public.users WHERE id = p_user FOR NO KEY UPDATE;
    IF (SELECT count(*) FROM identity.external_identities WHERE user_id = p_user) >= 10 THEN
        RAISE EXCEPTION 'too many identities'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'external_identities_limited';
    END IF;

    INSERT INTO identity.external_identities (user_id, provider, issuer, subject)
    VALUES (p_user, p_provider, p_issuer, p_subject)
    ON CONFLICT (issuer, subject) DO NOTHING
    RETURNING id INTO linked;
    IF linked IS NULL THEN
        SELECT id, user_id
          INTO linked, known_user
          FROM identity.external_identities
         WHERE issuer = p_issuer AND subject = p_subject;
        IF known_user IS DISTINCT FROM p_user THEN
            RAISE EXCEPTION 'linked to somebody else'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'external_linked';
        END IF;
        RETURN linked;
    END IF;

    PERFORM app.log_person_event(p_user, 'created', 'external_identity', linked, p_provider);
    PERFORM identity.queue_letter(
                'sign_in_method_changed', email, locale, NULL,
                jsonb_build_object('name', full_name, 'provider', p_provider, 'change', 'linked'), now() + interval '1 day')
       FROM public.users
      WHERE id = p_user;
    RETURN linked;
END
$$;

-- ---------------------------------------------------------------- accepting, in one step

-- Without a session. p_proved is who has shown a password or an identity of theirs; NULL when nobody has. A person with a second
-- factor gives it, or nothing happens: only of an identity that is theirs already does the provider's word for one count.
CREATE FUNCTION identity.accept_invitation(
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

-- From a session of the person, in its transaction; answers the organisation.
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

-- ---------------------------------------------------------------- external identities: the use cases

CREATE FUNCTION identity.find_external_identity(p_issuer text, p_subject text) RETURNS uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    RETURN (
        SELECT known.user_id
          FROM identity.external_identities AS known
          JOIN public.users AS person ON person.id = known.user_id
         WHERE known.issuer = p_issuer
           AND known.subject = p_subject
           AND person.deleted_at IS NULL);
END
$$;

-- A session for the person to whom an identity is linked, who gives their second factor unless the provider's word for one counts.
-- A token that opens none is not spent: whoever holds it may still link it, or show it again with a code.
CREATE FUNCTION identity.exchange_external(
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

-- In the transaction of the caller. A session that has not given the person's second factor makes no way in that goes round it.
CREATE FUNCTION identity.link_external_identity(
    p_provider      text,
    p_issuer        text,
    p_subject       text,
    p_token_hash    bytea,
    p_token_expires timestamptz
) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM identity.second_factors WHERE user_id = app.user_id() AND enabled_at IS NOT NULL)
       AND NOT EXISTS (
           SELECT FROM identity.sessions WHERE id = app.context('session_id')::uuid AND second_factor_at IS NOT NULL)
    THEN
        RAISE EXCEPTION 'this session has not given the second factor'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'second_factor_required';
    END IF;
    PERFORM identity.spend_external_token(p_issuer, p_token_hash, p_token_expires);
    RETURN identity.link_person(app.user_id(), p_provider, p_issuer, p_subject);
END
$$;

CREATE FUNCTION identity.list_external_identities()
RETURNS TABLE (id uuid, provider text, issuer text, subject text, created_at timestamptz, last_used_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    RETURN QUERY
        SELECT known.id, known.provider::text, known.issuer::text, known.subject::text, known.created_at, known.last_used_at
          FROM identity.external_identities AS known
         WHERE known.user_id = app.user_id()
         ORDER BY known.id;
END
$$;

CREATE FUNCTION identity.unlink_external_identity(p_id uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    caller   uuid := app.user_id();
    unlinked identity.external_identities;
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
    PERFORM app.log_person_event(caller, 'deleted', 'external_identity', unlinked.id, unlinked.provider);
    PERFORM identity.queue_letter(
                'sign_in_method_changed', email, locale, NULL,
                jsonb_build_object('name', full_name, 'provider', unlinked.provider, 'change', 'unlinked'), now() + interval '1 day')
       FROM public.users
      WHERE id = caller;
END
$$;

SELECT app.seal_functions();
GRANT EXECUTE ON FUNCTION identity.invite(uuid, text, text, text, uuid, uuid, uuid, bytea, integer) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.invitation_exists(uuid) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.resend_invitation(uuid, uuid, bytea, integer) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.revoke_invitation(uuid) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.find_invitation(uuid, bytea) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.count_proof(uuid, bytea) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.join_by_invitation(uuid, bytea) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.accept_invitation(
    uuid, bytea, uuid, text, text, text, text, text, bytea, timestamptz, boolean, bigint, bytea, bytea[], bytea, integer, integer,
    text, text, text) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.find_external_identity(text, text) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.exchange_external(
    text, text, bytea, timestamptz, text, boolean, bigint, bytea, bytea[], bytea, integer, integer, text, text) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.link_external_identity(text, text, text, bytea, timestamptz) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.list_external_identities() TO crm_app;
GRANT EXECUTE ON FUNCTION identity.unlink_external_identity(uuid) TO crm_app;
