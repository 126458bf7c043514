-- Takes the campaigns away, with their members, what was defined for them and what others called them, and that somebody opted out. What
-- the log says of them stays.
UPDATE crm_tasks SET related_to_type = NULL, related_to_id = NULL WHERE related_to_type = 'campaign';
ALTER TABLE crm_tasks
    DROP CONSTRAINT crm_tasks_rel_campaign_id_fkey,
    DROP CONSTRAINT crm_tasks_related_to_type_known,
    ADD CONSTRAINT crm_tasks_related_to_type_known CHECK (related_to_type IN ('company', 'contact', 'deal', 'project'));

DELETE FROM crm_external_ids WHERE entity_type = 'campaign';
DROP INDEX crm_external_ids_campaign;
ALTER TABLE crm_external_ids
    DROP CONSTRAINT crm_external_ids_rel_campaign_id_fkey,
    DROP CONSTRAINT crm_external_ids_entity_type_known,
    DROP COLUMN rel_campaign_id,
    ADD CONSTRAINT crm_external_ids_entity_type_known CHECK (entity_type IN ('company', 'contact', 'deal', 'project', 'task'));
SELECT app.install_tracking(
    'crm_external_ids', 'external_id', $$r.source || ' ' || r.external_id$$,
    subject_type => 'r.entity_type', subject_id => 'r.entity_id');

DELETE FROM crm_custom_values
 WHERE (organization_id, field_id) IN (SELECT organization_id, id FROM crm_custom_fields WHERE entity = 'campaign');
DELETE FROM crm_custom_field_work
 WHERE (organization_id, field_id) IN (SELECT organization_id, id FROM crm_custom_fields WHERE entity = 'campaign');
DELETE FROM crm_custom_fields WHERE entity = 'campaign';
ALTER TABLE crm_custom_fields
    DROP CONSTRAINT crm_custom_fields_entity_known,
    ADD CONSTRAINT crm_custom_fields_entity_known CHECK (entity IN ('company', 'contact', 'deal', 'project', 'task'));
CREATE OR REPLACE FUNCTION app.custom_field_table(p_entity text) RETURNS regclass
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT CASE p_entity
        WHEN 'company' THEN 'public.crm_companies'::regclass
        WHEN 'contact' THEN 'public.crm_contacts'::regclass
        WHEN 'deal'    THEN 'public.crm_deals'::regclass
        WHEN 'project' THEN 'public.crm_projects'::regclass
        WHEN 'task'    THEN 'public.crm_tasks'::regclass
    END
$$;

DELETE FROM crm_record_times WHERE entity = 'campaign';
CREATE OR REPLACE FUNCTION app.note_activity() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    touched record;
BEGIN
    FOR touched IN
        SELECT organization_id, subject_type, subject_id, max(occurred_at) AS occurred_at
          FROM newtab
         WHERE subject_id <> entity_id
           AND subject_type IN ('company', 'contact', 'deal', 'project', 'task')
           AND actor_kind <> 'system'
         GROUP BY organization_id, subject_type, subject_id
         ORDER BY organization_id, subject_id
    LOOP
        UPDATE public.crm_record_times
           SET last_activity_at = touched.occurred_at
         WHERE organization_id = touched.organization_id
           AND entity = touched.subject_type
           AND record_id = touched.subject_id
           AND last_activity_at < touched.occurred_at;
    END LOOP;
    RETURN NULL;
END
$$;

DROP FUNCTION app.unsubscribe_member(uuid, uuid);
DROP TRIGGER unsubscribe_members ON crm_contacts;
DROP FUNCTION app.unsubscribe_members();
DROP TRIGGER guard_30_opting_out ON crm_contacts;
DROP FUNCTION app.guard_opting_out();
DROP VIEW q_contacts;
ALTER TABLE crm_contacts DROP COLUMN opted_out;
SELECT app.install_tracking(
    'crm_contacts', 'contact', $$concat_ws(' ', r.first_name, r.last_name)$$, status_column => 'contact_status');
SELECT app.install_query_view('crm_contacts', 'q_contacts');

SELECT app.remove_tracking('crm_campaign_contacts');
DROP VIEW q_campaign_contacts;
DROP TABLE crm_campaign_contacts;
DROP FUNCTION app.guard_campaign_contact();

DROP TRIGGER guard_25_campaign ON crm_deals;
DROP FUNCTION app.guard_deal_campaign();
DROP VIEW q_deals;
ALTER TABLE crm_deals DROP COLUMN campaign_id;
SELECT app.install_tracking('crm_deals', 'deal', 'r.name', status_column => 'stage');
SELECT app.install_query_view('crm_deals', 'q_deals');

DROP TRIGGER guard_30_campaigns ON organizations;
DROP FUNCTION app.guard_campaign_currency();
SELECT app.remove_tracking('crm_campaigns');
DROP VIEW q_campaigns;
DROP TABLE crm_campaigns;
DROP FUNCTION app.guard_campaign();
