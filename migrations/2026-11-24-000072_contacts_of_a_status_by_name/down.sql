DROP INDEX crm_contacts_status_name;
