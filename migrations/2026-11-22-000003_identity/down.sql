-- Takes identity away: nobody can sign in, and app.begin_request is gone.
DROP FUNCTION app.add_team(uuid, text, uuid);
DROP FUNCTION app.add_member(uuid, text, text, text, text, uuid, uuid, text);
DROP FUNCTION app.create_organization(text, text, text, text, text, text, text);
DROP FUNCTION app.ensure_user(text, text, text);
DROP FUNCTION identity.switch_session(uuid, uuid, bytea, integer, integer, text, text);
DROP FUNCTION identity.end_session(uuid, text);
DROP FUNCTION identity.rotate_refresh(bytea, bytea, integer);
DROP FUNCTION identity.start_session(uuid, uuid, bytea, integer, integer, text, text);
DROP FUNCTION identity.list_organizations(uuid);
DROP FUNCTION identity.find_login(text);
DROP FUNCTION app.begin_request(uuid, uuid, uuid, uuid, text, boolean, text, text, text, uuid);
DROP FUNCTION app.parse_ip(text);
DROP FUNCTION app.active_role(uuid, uuid);
DROP TABLE identity.refresh_tokens;
DROP TABLE identity.sessions;
DROP TABLE identity.credentials;
DROP SCHEMA identity;
