-- API tokens and service users: the functions that are the only way to make, revoke and note the use of tokens, and to make, change
-- and remove members that are programs.
--
-- What must stay true:
--   * A token is made for oneself, or by an owner or admin for a service user; it is revoked by whom it belongs to or by an owner or
--     admin. Whoever comes with an API token does neither, whatever the gateway thinks.

-- ---------------------------------------------------------------- reading

-- Without what proves a token. A person sees their own; owners and admins see all.
CREATE VIEW q_api_tokens AS
SELECT token.organization_id,
       token.id,
       token.user_id,
       person.full_name AS user_name,
       token.name,
       token.operations,
       token.entities,
       token.read_only,
       CASE WHEN token.revoked_at IS NOT NULL THEN 'revoked'
            WHEN token.expires_at <= now() THEN 'expired'
            ELSE 'active' END AS status,
       token.created_by_id,
       token.created_at,
       token.expires_at,
       token.last_used_at,
       token.revoked_at,
       token.revoked_by_id
  FROM (SELECT *
          FROM identity.api_tokens
         WHERE app.is_manager()
            OR user_id = app.user_id()
       ) AS token
  JOIN users AS person ON person.id = token.user_id
 WHERE token.organization_id = app.org_id()
   AND app.role() IS NOT NULL;
ALTER VIEW q_api_tokens OWNER TO crm_definer;
GRANT SELECT ON q_api_tokens TO crm_app;

-- ---------------------------------------------------------------- tokens

-- Whoever comes with an API token makes no other, and no way in for others.
CREATE FUNCTION identity.refuse_api_tokens() RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF app.context('token_id') IS NOT NULL THEN
        RAISE EXCEPTION 'an API token may not do this'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'api_token_forbidden';
    END IF;
END
$$;

CREATE FUNCTION identity.create_api_token(
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

-- Whether this call revoked it; false when it was revoked before, or is none that the caller may see.
CREATE FUNCTION identity.revoke_api_token(p_token uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM identity.refuse_api_tokens();
    IF app.role() = 'admin' AND EXISTS (
        SELECT
          FROM identity.api_tokens AS token
          JOIN public.memberships AS membership
            ON membership.organization_id = token.organization_id
           AND membership.user_id = token.user_id
         WHERE token.organization_id = app.org_id()
           AND token.id = p_token
           AND token.user_id <> app.user_id()
           AND membership.role = 'owner')
    THEN
        RAISE EXCEPTION 'only an owner may do this to an owner'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'owner_only';
    END IF;
    UPDATE identity.api_tokens
       SET revoked_at = now(), revoked_by_id = app.user_id()
     WHERE organization_id = app.org_id()
       AND id = p_token
       AND revoked_at IS NULL
       AND (app.is_manager() OR user_id = app.user_id());
    RETURN FOUND;
END
$$;

-- When tokens were last used, for many at once; the three lists belong together. Says how many it noted.
CREATE FUNCTION identity.note_token_uses(p_orgs uuid[], p_tokens uuid[], p_times timestamptz[]) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    noted integer;
BEGIN
    -- In one order, so that two nodes that note the same tokens do not wait for each other.
    PERFORM
       FROM identity.api_tokens AS token
       JOIN unnest(p_orgs, p_tokens) AS used (organization_id, id)
         ON used.organization_id = token.organization_id
        AND used.id = token.id
      ORDER BY token.id
        FOR UPDATE OF token;

    UPDATE identity.api_tokens AS token
       SET last_used_at = used.used_at
      FROM unnest(p_orgs, p_tokens, p_times) AS used (organization_id, id, used_at)
     WHERE token.organization_id = used.organization_id
       AND token.id = used.id
       AND token.revoked_at IS NULL
       AND used.used_at <= now() + interval '1 minute'
       AND (token.last_used_at IS NULL OR token.last_used_at < used.used_at);
    GET DIAGNOSTICS noted = ROW_COUNT;
    RETURN noted;
END
$$;

-- ---------------------------------------------------------------- service users

-- Owners and admins, at a login.
CREATE FUNCTION identity.require_administrator() RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM identity.refuse_api_tokens();
    IF NOT app.is_manager() THEN
        RAISE EXCEPTION 'owners and admins only'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'service_user_forbidden';
    END IF;
END
$$;

CREATE FUNCTION identity.create_service_user(p_name text, p_role text) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    most     CONSTANT integer := 100;
    new_user uuid;
BEGIN
    PERFORM identity.require_administrator();

    -- Locked, so that two requests at once do not both find the last place free.
    PERFORM FROM public.organizations WHERE id = app.org_id() FOR NO KEY UPDATE;
    IF (SELECT count(*)
          FROM public.memberships AS membership
          JOIN public.users AS person ON person.id = membership.user_id
         WHERE membership.organization_id = app.org_id()
           AND membership.status <> 'removed'
           AND person.kind = 'service') >= most
    THEN
        RAISE EXCEPTION 'too many service users'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'too_many_service_users';
    END IF;

    INSERT INTO public.users (kind, email, full_name)
    VALUES ('service', NULL, p_name)
    RETURNING id INTO new_user;

    INSERT INTO public.memberships (organization_id, user_id, role)
    VALUES (app.org_id(), new_user, p_role);
    RETURN new_user;
END
$$;

-- NULL leaves as it is. False when there is no such service user.
CREATE FUNCTION identity.update_service_user(p_user uuid, p_name text, p_role text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    old_name text;
BEGIN
    PERFORM identity.require_administrator();

    SELECT person.full_name
      INTO old_name
      FROM public.memberships AS membership
      JOIN public.users AS person ON person.id = membership.user_id
     WHERE membership.organization_id = app.org_id()
       AND membership.user_id = p_user
       AND membership.status <> 'removed'
       AND person.kind = 'service'
       FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;

    IF p_name <> old_name THEN
        UPDATE public.users SET full_name = p_name, updated_at = now() WHERE id = p_user;
        PERFORM app.log_event(
            app.org_id(), app.user_id(), 'updated', 'member', p_user, p_name,
            jsonb_build_object('full_name', jsonb_build_array(old_name, p_name)));
    END IF;

    UPDATE public.memberships
       SET role = p_role
     WHERE organization_id = app.org_id()
       AND user_id = p_user
       AND role <> p_role;
    RETURN true;
END
$$;

-- Its records keep its name; its tokens end. False when there is no such service user.
CREATE FUNCTION identity.remove_service_user(p_user uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM identity.require_administrator();
    UPDATE public.memberships
       SET status = 'removed'
     WHERE organization_id = app.org_id()
       AND user_id = p_user
       AND status <> 'removed'
       AND EXISTS (SELECT FROM public.users WHERE id = p_user AND kind = 'service');
    RETURN FOUND;
END
$$;

SELECT app.seal_functions();
GRANT EXECUTE ON FUNCTION identity.create_api_token(uuid, uuid, text, bytea, text[], text[], boolean, timestamptz) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.revoke_api_token(uuid) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.note_token_uses(uuid[], uuid[], timestamptz[]) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.create_service_user(text, text) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.update_service_user(uuid, text, text) TO crm_app;
GRANT EXECUTE ON FUNCTION identity.remove_service_user(uuid) TO crm_app;
