-- Takes throttles, known devices, second factors and the functions of sessions away, and puts back what stood before.
DROP FUNCTION identity.disable_second_factor(uuid, uuid, uuid, text, text, text, bigint, bytea);
DROP FUNCTION identity.verify_second_factor(uuid, uuid, uuid, text, text, text, bigint, bytea);
DROP FUNCTION identity.replace_recovery_codes(uuid, uuid, uuid, text, text, text, bigint, bytea, bytea[]);
DROP FUNCTION identity.store_recovery_codes(uuid, bytea[]);
DROP FUNCTION identity.confirm_second_factor(uuid, uuid, uuid, text, text, text, bytea, bigint, bytea[]);
DROP FUNCTION identity.begin_second_factor(uuid, uuid, uuid, text, text, text, bigint, bytea, bytea);
DROP FUNCTION identity.read_second_factor(uuid, uuid, uuid);
DROP FUNCTION identity.requires_second_factor(uuid);
DROP FUNCTION identity.end_member_sessions(uuid);
DROP FUNCTION identity.end_other_sessions(uuid, uuid, uuid, text, text, text);
DROP FUNCTION identity.end_own_session(uuid, uuid, uuid, text, text, text, uuid);
DROP FUNCTION identity.list_sessions(uuid, uuid, uuid, integer);
DROP FUNCTION identity.enter_session(uuid, uuid, uuid, text, text, text);
DROP FUNCTION identity.check_session(uuid, uuid, uuid);
DROP FUNCTION identity.log_in(uuid, text, uuid, bytea, integer, integer, text, text, bigint, bytea, bytea[], bytea, bytea);
DROP FUNCTION identity.find_second_factor(uuid);
DROP FUNCTION identity.use_second_factor(uuid, bigint, bytea);
DROP FUNCTION identity.tell_second_factor(uuid, text);
DROP FUNCTION identity.attempt_login(text, bytea, text, bytea[], double precision[], double precision[]);

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
    RETURN true;
END
$$;

DROP FUNCTION identity.remember_device(uuid, bytea, bytea, text);
DROP FUNCTION identity.address_hash(text);
DROP FUNCTION identity.return_attempt(bytea[]);
DROP FUNCTION identity.take_attempt(bytea[], double precision[], double precision[]);
DROP FUNCTION identity.sweep_throttles(integer);

DROP VIEW q_members;
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
       membership.created_at,
       person.kind,
       membership.updated_at,
       membership.version
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

DROP TABLE identity.recovery_codes;
DROP TABLE identity.second_factors;
DROP TABLE identity.known_devices;
DROP TABLE identity.throttles;

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

SELECT app.seal_functions();
GRANT EXECUTE ON FUNCTION identity.find_login(text) TO crm_app;
