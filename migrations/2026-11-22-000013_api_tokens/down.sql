-- Takes the functions and the view away. Tokens and service users that were made stay where they are.
DROP FUNCTION identity.remove_service_user(uuid);
DROP FUNCTION identity.update_service_user(uuid, text, text);
DROP FUNCTION identity.create_service_user(text, text);
DROP FUNCTION identity.require_administrator();
DROP FUNCTION identity.note_token_uses(uuid[], uuid[], timestamptz[]);
DROP FUNCTION identity.revoke_api_token(uuid);
DROP FUNCTION identity.create_api_token(uuid, uuid, text, bytea, text[], text[], boolean, timestamptz);
DROP FUNCTION identity.refuse_api_tokens();
DROP VIEW q_api_tokens;
