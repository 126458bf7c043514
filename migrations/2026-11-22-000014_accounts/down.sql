-- Takes accounts away again. Who has confirmed stays; who has not is forgotten, and letters wait as they did before.
DROP FUNCTION identity.update_profile(text, text, text);
DROP FUNCTION identity.confirm_email_change(uuid, bytea, text, text, text);
DROP FUNCTION identity.request_email_change(uuid, bytea, text);
DROP FUNCTION identity.change_password(text, text);
DROP FUNCTION identity.own_password();
DROP FUNCTION identity.reset_password(uuid, bytea, text, text, text, text);
DROP FUNCTION identity.replace_password(uuid, text, text, text, text, text);
DROP FUNCTION identity.find_reset(uuid, bytea);
DROP FUNCTION identity.request_password_reset(uuid, bytea, text);
DROP FUNCTION identity.confirm_registration(uuid, bytea, text);
DROP FUNCTION identity.find_registration(uuid, bytea);
DROP FUNCTION identity.request_registration(
    uuid, bytea, text, text, text, text, text, boolean, text, text, text, text, boolean);
DROP FUNCTION identity.letter_failed(uuid, text, boolean);
DROP FUNCTION identity.letter_sent(uuid);
DROP FUNCTION identity.claim_letters(integer, integer);
DROP INDEX identity.letters_done;
DROP TABLE identity.links;
DROP TABLE identity.registrations;
