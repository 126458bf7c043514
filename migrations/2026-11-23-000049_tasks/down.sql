-- Takes the tasks away, with what was defined for them and what others called them. What the log says of them stays.
DELETE FROM crm_external_ids WHERE entity_type = 'task';
DROP INDEX crm_external_ids_task;
ALTER TABLE crm_external_ids
    DROP CONSTRAINT crm_external_ids_rel_task_id_fkey,
    DROP CONSTRAINT crm_external_ids_entity_type_known,
    DROP COLUMN rel_task_id,
    ADD CONSTRAINT crm_external_ids_entity_type_known CHECK (entity_type IN ('company', 'contact', 'deal', 'project'));
SELECT app.install_tracking(
    'crm_external_ids', 'external_id', $$r.source || ' ' || r.external_id$$,
    subject_type => 'r.entity_type', subject_id => 'r.entity_id');

DELETE FROM crm_custom_values
 WHERE (organization_id, field_id) IN (SELECT organization_id, id FROM crm_custom_fields WHERE entity = 'task');
DELETE FROM crm_custom_field_work
 WHERE (organization_id, field_id) IN (SELECT organization_id, id FROM crm_custom_fields WHERE entity = 'task');
DELETE FROM crm_custom_fields WHERE entity = 'task';
ALTER TABLE crm_custom_fields
    DROP CONSTRAINT crm_custom_fields_entity_known,
    ADD CONSTRAINT crm_custom_fields_entity_known CHECK (entity IN ('company', 'contact', 'deal', 'project'));
CREATE OR REPLACE FUNCTION app.custom_field_table(p_entity text) RETURNS regclass
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT CASE p_entity
        WHEN 'company' THEN 'public.crm_companies'::regclass
        WHEN 'contact' THEN 'public.crm_contacts'::regclass
        WHEN 'deal'    THEN 'public.crm_deals'::regclass
        WHEN 'project' THEN 'public.crm_projects'::regclass
    END
$$;

DELETE FROM crm_record_times WHERE entity = 'task';
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
           AND subject_type IN ('company', 'contact', 'deal', 'project')
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

SELECT app.remove_tracking('crm_tasks');
DROP VIEW q_tasks;
DROP TABLE crm_tasks;
DROP FUNCTION app.guard_task();

CREATE OR REPLACE FUNCTION app.guard_record() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    id_text      text;
    id_moment    bigint;
    owner_status text;
BEGIN
    IF TG_OP = 'INSERT' THEN
        -- Lists show the newest first by id, so the time inside the id must be believable.
        id_text := NEW.id::text;
        IF substr(id_text, 15, 1) <> '7' OR substr(id_text, 20, 1) NOT IN ('8', '9', 'a', 'b') THEN
            RAISE EXCEPTION 'an id must be a version 7 UUID'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'id_not_v7', COLUMN = 'id', TABLE = TG_TABLE_NAME;
        END IF;
        id_moment := ('x0000' || substr(id_text, 1, 8) || substr(id_text, 10, 4))::bit(64)::bigint;
        IF id_moment > extract(epoch FROM clock_timestamp()) * 1000 + 60000 THEN
            RAISE EXCEPTION 'an id must not come from the future'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'id_from_future', COLUMN = 'id', TABLE = TG_TABLE_NAME;
        END IF;

    ELSIF OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL THEN
        NEW.deleted_at := now();
        NEW.deleted_by_id := app.user_id();

    ELSIF OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS NULL THEN
        IF NOT app.is_manager() AND OLD.deleted_by_id IS DISTINCT FROM app.user_id() THEN
            RAISE EXCEPTION 'only an owner, an admin or who deleted a record can restore it'
                USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'restore_forbidden', TABLE = TG_TABLE_NAME;
        END IF;
        NEW.deleted_by_id := NULL;

    ELSIF OLD.deleted_at IS NOT NULL THEN
        RAISE EXCEPTION 'a deleted record cannot be changed'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'record_deleted', TABLE = TG_TABLE_NAME;
    END IF;

    -- Records of somebody who left keep their owner; new ones cannot be given to them. The caller is known to be
    -- active.
    IF NEW.owner_id IS DISTINCT FROM app.user_id()
       AND (TG_OP = 'INSERT' OR NEW.owner_id IS DISTINCT FROM OLD.owner_id)
    THEN
        SELECT status
          INTO owner_status
          FROM public.memberships
         WHERE organization_id = NEW.organization_id AND user_id = NEW.owner_id;
        IF NEW.owner_id IS NOT NULL AND owner_status IS NULL THEN
            RAISE EXCEPTION 'no such member'
                USING ERRCODE = 'foreign_key_violation', CONSTRAINT = TG_TABLE_NAME || '_owner_id_fkey',
                      COLUMN = 'owner_id', TABLE = TG_TABLE_NAME;
        ELSIF owner_status <> 'active' THEN
            RAISE EXCEPTION 'the owner is not an active member'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'owner_not_active', COLUMN = 'owner_id',
                      TABLE = TG_TABLE_NAME;
        END IF;
    END IF;
    RETURN NEW;
END
$$;
