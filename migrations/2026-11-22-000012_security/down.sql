-- Takes the security events, API tokens, second factor and letters away, and puts the functions and views back that stood before.
-- Service users have no place in the older schema: they become removed people with an address that nobody has.
DROP FUNCTION identity.switch_session(uuid, uuid, bytea, integer, integer, text, text);
DROP FUNCTION identity.end_sessions(uuid, uuid, uuid, text);
DROP FUNCTION identity.rotate_refresh(bytea, bytea, integer);
DROP FUNCTION identity.start_session(uuid, uuid, bytea, integer, integer, text, text, text, boolean);
DROP FUNCTION app.begin_request(uuid, uuid, uuid, uuid, text, boolean, text, text, text, uuid, bytea);
DROP FUNCTION identity.queue_letter(text, text, text, uuid, jsonb, timestamptz);
SELECT app.remove_tracking('identity.api_tokens');
DROP TABLE identity.letters;
DROP TABLE identity.api_tokens;
ALTER TABLE identity.sessions DROP COLUMN method, DROP COLUMN second_factor_at;

DROP VIEW q_members;
UPDATE memberships SET status = 'removed' WHERE user_id IN (SELECT id FROM users WHERE kind = 'service');
ALTER TABLE users DROP CONSTRAINT users_email_person;
UPDATE users SET email = id || '@service.invalid' WHERE email IS NULL;
ALTER TABLE users DROP COLUMN kind, ALTER COLUMN email SET NOT NULL;
ALTER TABLE organizations DROP COLUMN require_second_factor;
SELECT app.install_tracking('organizations', 'organization', 'r.name');
CREATE VIEW q_members AS
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
       membership.created_at
  FROM memberships AS membership
  JOIN users AS person
    ON person.id = membership.user_id
  LEFT JOIN teams AS team
    ON team.organization_id = membership.organization_id
   AND team.id = membership.team_id
 WHERE membership.organization_id = app.org_id()
   AND app.role() IS NOT NULL;
ALTER VIEW q_members OWNER TO crm_definer;
GRANT SELECT ON q_members TO crm_app;

CREATE OR REPLACE VIEW q_activities AS
SELECT activity.*,
       detail.description,
       detail.changes,
       detail.metadata,
       CASE WHEN app.is_manager() THEN detail.ip END AS ip,
       CASE WHEN app.is_manager() THEN detail.user_agent END AS user_agent
  FROM crm_activities AS activity
  LEFT JOIN LATERAL (
       SELECT description, changes, metadata, ip, user_agent
         FROM crm_activity_details
        WHERE organization_id = activity.organization_id
          AND activity_id = activity.id
          AND created_at = activity.created_at
        LIMIT 1) AS detail ON true
 WHERE activity.organization_id = app.org_id()
   AND app.role() IS NOT NULL;

DROP POLICY org_read ON crm_activities;
CREATE POLICY org_read ON crm_activities FOR SELECT TO crm_app
    USING (organization_id = app.org_id() AND app.role() IS NOT NULL);

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

CREATE OR REPLACE FUNCTION identity.end_session(p_session uuid, p_reason text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    UPDATE identity.sessions
       SET ended_at = now(), ended_reason = left(coalesce(p_reason, 'ended'), 50)
     WHERE id = p_session AND ended_at IS NULL;
    RETURN FOUND;
END
$$;

DROP FUNCTION app.log_person_event(uuid, text, text, uuid, text, uuid, text, text, text);
DROP FUNCTION app.log_event(uuid, uuid, text, text, uuid, text, jsonb, uuid, text, text, text);

SELECT app.seal_functions();
GRANT EXECUTE ON FUNCTION app.begin_request(uuid, uuid, uuid, uuid, text, boolean, text, text, text, uuid) TO crm_app;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA identity TO crm_app;
