-- Takes the import away; what was imported stays.
REVOKE INSERT ON crm_companies, crm_contacts, crm_deals FROM crm_definer;
DROP FUNCTION app.import_records(text, jsonb);
