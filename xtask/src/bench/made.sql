-- Takes away the contacts that a measurement made, with what is kept beside them. Triggers sleep: it is no change that anybody made.
BEGIN;
SET LOCAL session_replication_role = replica;
CREATE TEMPORARY TABLE made ON COMMIT DROP AS
SELECT organization_id, id
  FROM crm_contacts
 WHERE email_key LIKE 'bench-%@mail.example' OR email_key LIKE 'bulk-%@mail.example';
DELETE FROM crm_contact_points USING made
 WHERE crm_contact_points.organization_id = made.organization_id AND contact_id = made.id;
DELETE FROM crm_record_times USING made
 WHERE crm_record_times.organization_id = made.organization_id AND entity = 'contact' AND record_id = made.id;
DELETE FROM crm_contacts USING made
 WHERE crm_contacts.organization_id = made.organization_id AND crm_contacts.id = made.id;
COMMIT;
