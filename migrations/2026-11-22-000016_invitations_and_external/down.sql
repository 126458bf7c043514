-- Takes invitations and external identities away. Whoever came in by one stays a member; whoever had no password has no way in until
-- one is set.
DROP FUNCTION identity.unlink_external_identity(uuid);
DROP FUNCTION identity.list_external_identities();
DROP FUNCTION identity.link_external_identity(text, text, text, bytea, timestamptz);
DROP FUNCTION identity.exchange_external(
    text, text, bytea, timestamptz, text, boolean, bigint, bytea, bytea[], bytea, integer, integer, text, text);
DROP FUNCTION identity.find_external_identity(text, text);
DROP FUNCTION identity.join_by_invitation(uuid, bytea);
DROP FUNCTION identity.accept_invitation(
    uuid, bytea, uuid, text, text, text, text, text, bytea, timestamptz, boolean, bigint, bytea, bytea[], bytea, integer, integer,
    text, text, text);
DROP FUNCTION identity.link_person(uuid, text, text, text);
DROP FUNCTION identity.spend_external_token(text, bytea, timestamptz);
DROP FUNCTION identity.act_as(uuid, text, text, text);
DROP FUNCTION identity.enter_by_invitation(identity.invitations, uuid);
DROP FUNCTION identity.take_invitation(uuid, bytea);
DROP FUNCTION identity.count_proof(uuid, bytea);
DROP FUNCTION identity.find_invitation(uuid, bytea);
DROP FUNCTION identity.open_invitation(uuid, bytea);
DROP FUNCTION identity.revoke_invitation(uuid);
DROP FUNCTION identity.resend_invitation(uuid, uuid, bytea, integer);
DROP FUNCTION identity.hold_invitation(uuid);
DROP FUNCTION identity.invitation_exists(uuid);
DROP FUNCTION identity.invite(uuid, text, text, text, uuid, uuid, uuid, bytea, integer);
DROP FUNCTION identity.queue_invitation(identity.invitations);
DROP FUNCTION identity.refuse_member(uuid, text);
DROP FUNCTION identity.limit_invitations(uuid, text);
DROP FUNCTION identity.require_inviter(uuid, text, text);
DROP FUNCTION identity.may_invite(text, text);
DROP VIEW q_invitations;
SELECT app.remove_tracking('identity.invitations');
DROP TABLE identity.external_tokens;
DROP TABLE identity.external_identities;
DROP TABLE identity.invitations;
