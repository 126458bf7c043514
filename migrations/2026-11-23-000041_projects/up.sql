-- Projects: work for a company, and perhaps for the deal that sold it.
--
-- What must stay true:
--   * A completed project has the day of its completion, every other one has none.
--   * origin says how it came to be and never changes. One that came from a won deal keeps that deal, and a deal has one such living
--     project at most: however often somebody asks for it, and however many at once.
--   * The deal was won when the project was made of it; that is looked at here, because projects and deals do not know each other.

CREATE TABLE crm_projects (
    id                 uuid         NOT NULL DEFAULT app.uuid7(),
    organization_id    uuid         NOT NULL DEFAULT app.org_id(),
    company_id         uuid,
    deal_id            uuid,
    name               varchar(255) NOT NULL,
    description        text,
    project_status     varchar(50)  NOT NULL DEFAULT 'planning',
    priority           varchar(50)  NOT NULL DEFAULT 'medium',
    start_date         date,
    due_date           date,
    completion_date    date,
    estimated_hours    numeric(18,3),
    actual_hours       numeric(18,3),
    owner_id           uuid                  DEFAULT app.user_id(),
    project_manager_id uuid,
    origin             varchar(20)  NOT NULL DEFAULT 'direct',
    tags               jsonb        NOT NULL DEFAULT '[]',
    custom_fields      jsonb        NOT NULL DEFAULT '{}',
    created_at         timestamptz  NOT NULL DEFAULT now(),
    updated_at         timestamptz  NOT NULL DEFAULT now(),
    deleted_at         timestamptz,
    version            integer      NOT NULL DEFAULT 1,
    created_by_id      uuid                  DEFAULT app.user_id(),
    deleted_by_id      uuid,
    name_key           text COLLATE "C" NOT NULL GENERATED ALWAYS AS (lower(name)) STORED,
    due_key            date NOT NULL GENERATED ALWAYS AS (coalesce(due_date, 'infinity'::date)) STORED,
    completion_key     date NOT NULL GENERATED ALWAYS AS (coalesce(completion_date, 'infinity'::date)) STORED,
    -- The day by which something is still to be done: what is overdue is at the beginning of its index, however many are long done.
    open_due_date      date GENERATED ALWAYS AS (
        CASE WHEN project_status NOT IN ('completed', 'cancelled') THEN due_date END) STORED,
    open_due_key       date NOT NULL GENERATED ALWAYS AS (
        CASE WHEN project_status NOT IN ('completed', 'cancelled') THEN coalesce(due_date, 'infinity'::date)
             ELSE 'infinity'::date END) STORED,
    CONSTRAINT crm_projects_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT crm_projects_name_length CHECK (length(btrim(name)) > 0),
    CONSTRAINT crm_projects_description_length CHECK (length(description) <= 10000),
    CONSTRAINT crm_projects_project_status_known CHECK (
        project_status IN ('planning', 'in_progress', 'on_hold', 'completed', 'cancelled')),
    CONSTRAINT crm_projects_priority_known CHECK (priority IN ('low', 'medium', 'high', 'urgent')),
    CONSTRAINT crm_projects_origin_known CHECK (origin IN ('direct', 'won_deal')),
    CONSTRAINT crm_projects_origin_deal CHECK (origin <> 'won_deal' OR deal_id IS NOT NULL),
    -- Infinity stands for no date in the keys above; a real one would be no date of a calendar.
    CONSTRAINT crm_projects_start_date_range CHECK (isfinite(start_date)),
    CONSTRAINT crm_projects_due_date_range CHECK (isfinite(due_date)),
    CONSTRAINT crm_projects_due_date_order CHECK (due_date >= start_date),
    CONSTRAINT crm_projects_completion_date_range CHECK (isfinite(completion_date)),
    CONSTRAINT crm_projects_completion_date_completed CHECK ((project_status = 'completed') = (completion_date IS NOT NULL)),
    CONSTRAINT crm_projects_estimated_hours_range CHECK (estimated_hours BETWEEN 0 AND 1000000),
    CONSTRAINT crm_projects_actual_hours_range CHECK (actual_hours BETWEEN 0 AND 1000000),
    CONSTRAINT crm_projects_tags_list CHECK (app.valid_tags(tags)),
    CONSTRAINT crm_projects_custom_fields_object CHECK (app.valid_object(custom_fields)),
    CONSTRAINT crm_projects_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations (id),
    CONSTRAINT crm_projects_company_id_fkey FOREIGN KEY (organization_id, company_id)
        REFERENCES crm_companies (organization_id, id),
    CONSTRAINT crm_projects_deal_id_fkey FOREIGN KEY (organization_id, deal_id)
        REFERENCES crm_deals (organization_id, id),
    CONSTRAINT crm_projects_owner_id_fkey FOREIGN KEY (organization_id, owner_id)
        REFERENCES memberships (organization_id, user_id),
    CONSTRAINT crm_projects_project_manager_id_fkey FOREIGN KEY (organization_id, project_manager_id)
        REFERENCES memberships (organization_id, user_id),
    CONSTRAINT crm_projects_created_by_id_fkey FOREIGN KEY (organization_id, created_by_id)
        REFERENCES memberships (organization_id, user_id),
    CONSTRAINT crm_projects_deleted_by_id_fkey FOREIGN KEY (organization_id, deleted_by_id)
        REFERENCES memberships (organization_id, user_id)
) WITH (fillfactor = 85);

CREATE UNIQUE INDEX crm_projects_deal_id_live ON crm_projects (organization_id, deal_id)
    WHERE deleted_at IS NULL AND origin = 'won_deal';
CREATE INDEX crm_projects_name       ON crm_projects (organization_id, name_key, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_projects_status     ON crm_projects (organization_id, project_status, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_projects_priority   ON crm_projects (organization_id, priority, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_projects_due        ON crm_projects (organization_id, due_key, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_projects_open_due   ON crm_projects (organization_id, open_due_key, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_projects_completion ON crm_projects (organization_id, completion_key, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_projects_owner      ON crm_projects (organization_id, owner_id, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_projects_manager    ON crm_projects (organization_id, project_manager_id, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_projects_company    ON crm_projects (organization_id, company_id, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_projects_deal       ON crm_projects (organization_id, deal_id, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_projects_bin        ON crm_projects (organization_id, id) WHERE deleted_at IS NOT NULL;
CREATE INDEX crm_projects_facets ON crm_projects
    USING gin (organization_id, tags jsonb_path_ops, custom_fields jsonb_path_ops);
-- Purging looks from a record for what refers to it, in the bin too; the indexes of lists know the living only.
CREATE INDEX crm_projects_company_reference ON crm_projects (organization_id, company_id) WHERE company_id IS NOT NULL;
CREATE INDEX crm_projects_deal_reference    ON crm_projects (organization_id, deal_id) WHERE deal_id IS NOT NULL;

-- ---------------------------------------------------------------- guards

CREATE FUNCTION app.guard_project() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    is_new         boolean := TG_OP = 'INSERT';
    sold           record;
    manager_status text;
BEGIN
    IF is_new OR NEW.company_id IS DISTINCT FROM OLD.company_id THEN
        PERFORM app.require_parent(NEW.organization_id, TG_TABLE_NAME, 'public.crm_companies', NEW.company_id, 'company_id');
    END IF;
    IF is_new OR NEW.deal_id IS DISTINCT FROM OLD.deal_id THEN
        PERFORM app.require_parent(NEW.organization_id, TG_TABLE_NAME, 'public.crm_deals', NEW.deal_id, 'deal_id');
    END IF;

    IF NOT is_new AND OLD.origin = 'won_deal' AND NEW.deal_id IS DISTINCT FROM OLD.deal_id THEN
        RAISE EXCEPTION 'a project that came from a deal keeps it'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'deal_kept', COLUMN = 'deal_id', TABLE = TG_TABLE_NAME;
    ELSIF is_new AND NEW.origin = 'won_deal' THEN
        -- Held until this transaction ends: a deal is not opened again between the look and the project.
        SELECT pipeline_id, stage INTO sold
          FROM public.crm_deals
         WHERE organization_id = NEW.organization_id AND id = NEW.deal_id
           FOR SHARE;
        IF app.stage_outcome(NEW.organization_id, sold.pipeline_id, sold.stage) IS DISTINCT FROM 'won' THEN
            RAISE EXCEPTION 'the deal is not won'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'deal_not_won', COLUMN = 'deal_id', TABLE = TG_TABLE_NAME;
        END IF;
    END IF;

    -- As guard_record() has it for owners.
    IF NEW.project_manager_id IS NOT NULL AND (is_new OR NEW.project_manager_id IS DISTINCT FROM OLD.project_manager_id) THEN
        SELECT status INTO manager_status
          FROM public.memberships
         WHERE organization_id = NEW.organization_id AND user_id = NEW.project_manager_id;
        IF manager_status IS NULL THEN
            RAISE EXCEPTION 'no such member'
                USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'crm_projects_project_manager_id_fkey',
                      COLUMN = 'project_manager_id', TABLE = TG_TABLE_NAME;
        ELSIF manager_status <> 'active' THEN
            RAISE EXCEPTION 'the project manager is not an active member'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'member_not_active', COLUMN = 'project_manager_id',
                      TABLE = TG_TABLE_NAME;
        END IF;
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER guard_10_record BEFORE INSERT OR UPDATE ON crm_projects
    FOR EACH ROW EXECUTE FUNCTION app.guard_record();
CREATE TRIGGER guard_20_project BEFORE INSERT OR UPDATE ON crm_projects
    FOR EACH ROW EXECUTE FUNCTION app.guard_project();

-- ---------------------------------------------------------------- what every noun has

-- As before, and projects among those that something can happen to.
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
ALTER TABLE crm_custom_fields
    DROP CONSTRAINT crm_custom_fields_entity_known,
    ADD CONSTRAINT crm_custom_fields_entity_known CHECK (entity IN ('company', 'contact', 'deal', 'project'));

-- As before, and who leaves hands over the projects that they manage too.
CREATE OR REPLACE FUNCTION app.ownership_columns() RETURNS TABLE (collection text, owner_column text, relation regclass, bin boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT regexp_replace(class.relname, '^crm_', ''),  -- as addresses call it
           attribute.attname::text,
           class.oid::regclass,
           EXISTS (SELECT FROM pg_attribute WHERE attrelid = class.oid AND attname = 'deleted_at' AND NOT attisdropped)
      FROM pg_constraint AS reference
      JOIN pg_class AS class ON class.oid = reference.conrelid
      JOIN pg_attribute AS attribute ON attribute.attrelid = class.oid AND attribute.attnum = ANY (reference.conkey)
     WHERE reference.contype = 'f'
       AND reference.confrelid = 'public.memberships'::regclass
       AND class.relnamespace = 'public'::regnamespace
       AND attribute.attname IN ('owner_id', 'assigned_to_id', 'project_manager_id')
       AND EXISTS (SELECT FROM pg_trigger WHERE tgrelid = class.oid AND tgname = 'track_update')
       AND has_column_privilege(class.oid, attribute.attnum, 'UPDATE')
     ORDER BY 1, 2
$$;

ALTER TABLE crm_external_ids
    ADD COLUMN rel_project_id uuid GENERATED ALWAYS AS (CASE entity_type WHEN 'project' THEN entity_id END) STORED,
    DROP CONSTRAINT crm_external_ids_entity_type_known,
    ADD CONSTRAINT crm_external_ids_entity_type_known CHECK (entity_type IN ('company', 'contact', 'deal', 'project')),
    ADD CONSTRAINT crm_external_ids_rel_project_id_fkey FOREIGN KEY (organization_id, rel_project_id)
        REFERENCES crm_projects (organization_id, id);
CREATE INDEX crm_external_ids_project ON crm_external_ids (organization_id, rel_project_id) WHERE rel_project_id IS NOT NULL;
SELECT app.install_tracking(
    'crm_external_ids', 'external_id', $$r.source || ' ' || r.external_id$$,
    subject_type => 'r.entity_type', subject_id => 'r.entity_id');

SELECT app.secure_table('crm_projects', 'member', ARRAY['owner_id', 'project_manager_id', 'created_by_id']);
SELECT app.install_tracking('crm_projects', 'project', 'r.name', status_column => 'project_status');
SELECT app.install_times('crm_projects', 'project', 'q_projects');
SELECT app.install_custom_values('crm_projects', 'project');

-- origin is said when a project is made, and never again.
GRANT SELECT,
      INSERT (id, company_id, deal_id, name, description, project_status, priority, start_date, due_date, completion_date,
              estimated_hours, actual_hours, owner_id, project_manager_id, origin, tags, custom_fields),
      UPDATE (company_id, deal_id, name, description, project_status, priority, start_date, due_date, completion_date,
              estimated_hours, actual_hours, owner_id, project_manager_id, tags, custom_fields, deleted_at)
   ON crm_projects TO crm_app;
GRANT DELETE, UPDATE (custom_fields) ON crm_projects TO crm_definer;

SELECT app.seal_functions();
