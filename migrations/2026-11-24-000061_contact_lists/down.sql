DROP TRIGGER follow_primaries ON crm_contacts;
DROP FUNCTION app.follow_primaries();
DROP FUNCTION app.follow_primary_company(public.crm_contacts);
DROP FUNCTION app.follow_primary_point(public.crm_contacts, text, text);

DROP TRIGGER guard_30_company ON crm_contact_companies;
DROP FUNCTION app.guard_contact_company();
CREATE TRIGGER guard_30_company BEFORE INSERT ON crm_contact_companies
    FOR EACH ROW EXECUTE FUNCTION app.guard_contact();

ALTER TABLE crm_contact_companies DROP COLUMN position;
SELECT app.install_tracking(
    'crm_contact_companies', 'contact_company', $$coalesce(r.role, '')$$,
    subject_type => '''contact''', subject_id => 'r.contact_id');

REVOKE INSERT (contact_id, kind, label, value, is_primary, position), UPDATE (label, value, is_primary, position), DELETE
    ON crm_contact_points FROM crm_app;
ALTER TABLE crm_contact_points DROP CONSTRAINT crm_contact_points_label_length, DROP CONSTRAINT crm_contact_points_position_range;

DROP VIEW q_contacts;
ALTER TABLE crm_contacts DROP COLUMN lists_version;
SELECT app.install_tracking(
    'crm_contacts', 'contact', $$concat_ws(' ', r.first_name, r.last_name)$$, status_column => 'contact_status');
SELECT app.install_query_view('crm_contacts', 'q_contacts');
SELECT app.seal_functions();
