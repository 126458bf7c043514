-- Takes the contacts away, with their points and further companies. What the log says of them stays.
SELECT app.remove_tracking('crm_contact_companies');
DROP TABLE crm_contact_companies;
SELECT app.remove_tracking('crm_contact_points');
DROP TABLE crm_contact_points;
SELECT app.remove_tracking('crm_contacts');
DROP VIEW q_contacts;
DROP TABLE crm_contacts;
DROP FUNCTION app.guard_contact();
