-- Takes the notes away, with what was defined for them and what others called them. What the log says of them stays.
DELETE FROM crm_external_ids WHERE entity_type = 'note';
DROP INDEX crm_external_ids_note;
ALTER TABLE crm_external_ids
    DROP CONSTRAINT crm_external_ids_rel_note_id_fkey,
    DROP CONSTRAINT crm_external_ids_entity_type_known,
    DROP COLUMN rel_note_id,
    ADD CONSTRAINT crm_external_ids_entity_type_known CHECK (entity_type IN ('company', 'contact', 'deal', 'project', 'task', 'campaign'));
SELECT app.install_tracking(
    'crm_external_ids', 'external_id', $$r.source || ' ' || r.external_id$$,
    subject_type => 'r.entity_type', subject_id => 'r.entity_id');

DELETE FROM crm_custom_values
 WHERE (organization_id, field_id) IN (SELECT organization_id, id FROM crm_custom_fields WHERE entity = 'note');
DELETE FROM crm_custom_field_work
 WHERE (organization_id, field_id) IN (SELECT organization_id, id FROM crm_custom_fields WHERE entity = 'note');
DELETE FROM crm_custom_fields WHERE entity = 'note';
ALTER TABLE crm_custom_fields
    DROP CONSTRAINT crm_custom_fields_entity_known,
    ADD CONSTRAINT crm_custom_fields_entity_known CHECK (entity IN ('company', 'contact', 'deal', 'project', 'task', 'campaign'));
CREATE OR REPLACE FUNCTION app.custom_field_table(p_entity text) RETURNS regclass
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT CASE p_entity
        WHEN 'company' THEN 'public.crm_companies'::regclass
        WHEN 'contact' THEN 'public.crm_contacts'::regclass
        WHEN 'deal'    THEN 'public.crm_deals'::regclass
        WHEN 'project' THEN 'public.crm_projects'::regclass
        WHEN 'task'    THEN 'public.crm_tasks'::regclass
        WHEN 'campaign' THEN 'public.crm_campaigns'::regclass
    END
$$;

DELETE FROM crm_record_times WHERE entity = 'note';
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
           AND subject_type IN ('company', 'contact', 'deal', 'project', 'task', 'campaign')
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

SELECT app.remove_tracking('crm_notes');
DROP VIEW q_notes;
DROP TABLE crm_notes;
DROP FUNCTION app.guard_note();
