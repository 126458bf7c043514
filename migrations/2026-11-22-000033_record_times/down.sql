-- Takes the times away; records keep their updated_at.
SELECT app.remove_times('crm_companies', 'q_companies');
SELECT app.remove_times('crm_contacts', 'q_contacts');
SELECT app.remove_times('crm_deals', 'q_deals');
ALTER TABLE crm_companies RESET (fillfactor);
ALTER TABLE crm_contacts RESET (fillfactor);
ALTER TABLE crm_deals RESET (fillfactor);
DROP TRIGGER note_activity ON crm_activities;
DROP FUNCTION app.remove_times(regclass, text);
DROP FUNCTION app.install_times(regclass, text, text);
DROP FUNCTION app.note_activity();
DROP FUNCTION app.keep_times();
DROP TABLE crm_record_times;

CREATE OR REPLACE FUNCTION app.install_query_view(target regclass, view_name text) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    EXECUTE format(
        'CREATE OR REPLACE VIEW public.%I AS SELECT * FROM %s WHERE organization_id = app.org_id() AND app.role() IS NOT NULL',
        view_name, target);
    EXECUTE format('ALTER VIEW public.%I OWNER TO crm_definer', view_name);
    EXECUTE format('GRANT SELECT ON public.%I TO crm_app', view_name);
END
$$;
