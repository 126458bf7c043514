-- Tasks: what somebody is to do, by when, and about which record.
--
-- What must stay true:
--   * A task is about one record or none: the pair (related_to_type, related_to_id) is real foreign keys of the same organisation,
--     through the generated columns rel_….
--   * A completed task has the moment of its completion, every other one has none; the guard sets it.
--   * An all-day task is due on a day, not at a moment: due_date is midnight UTC of that day.
--   * A task that comes again is due at some time. next_id names the one that followed it: there is one at most.

CREATE TABLE crm_tasks (
    id              uuid         NOT NULL DEFAULT app.uuid7(),
    organization_id uuid         NOT NULL DEFAULT app.org_id(),
    title           varchar(255) NOT NULL,
    description     text,
    related_to_type varchar(50),
    related_to_id   uuid,
    task_type       varchar(50)  NOT NULL DEFAULT 'todo',
    status          varchar(50)  NOT NULL DEFAULT 'pending',
    priority        varchar(50)  NOT NULL DEFAULT 'medium',
    due_date        timestamptz,
    is_all_day      boolean      NOT NULL DEFAULT false,
    remind_at       timestamptz,
    recurrence      varchar(500),
    next_id         uuid,
    completed_at    timestamptz,
    assigned_to_id  uuid                  DEFAULT app.user_id(),
    tags            jsonb        NOT NULL DEFAULT '[]',
    custom_fields   jsonb        NOT NULL DEFAULT '{}',
    created_at      timestamptz  NOT NULL DEFAULT now(),
    updated_at      timestamptz  NOT NULL DEFAULT now(),
    deleted_at      timestamptz,
    version         integer      NOT NULL DEFAULT 1,
    created_by_id   uuid                  DEFAULT app.user_id(),
    deleted_by_id   uuid,
    title_key       text COLLATE "C" NOT NULL GENERATED ALWAYS AS (lower(title)) STORED,
    due_key         timestamptz NOT NULL GENERATED ALWAYS AS (coalesce(due_date, 'infinity'::timestamptz)) STORED,
    -- Of what is still to be done alone: the tasks of somebody are one walk through its index, however many are long done.
    open_due_key    timestamptz GENERATED ALWAYS AS (
        CASE WHEN status IN ('pending', 'in_progress') THEN coalesce(due_date, 'infinity'::timestamptz) END) STORED,
    rel_company_id  uuid GENERATED ALWAYS AS (CASE related_to_type WHEN 'company' THEN related_to_id END) STORED,
    rel_contact_id  uuid GENERATED ALWAYS AS (CASE related_to_type WHEN 'contact' THEN related_to_id END) STORED,
    rel_deal_id     uuid GENERATED ALWAYS AS (CASE related_to_type WHEN 'deal'    THEN related_to_id END) STORED,
    rel_project_id  uuid GENERATED ALWAYS AS (CASE related_to_type WHEN 'project' THEN related_to_id END) STORED,
    -- No task is about a campaign before crm_tasks_related_to_type_known says so; the column is there so that the table need not be written anew.
    rel_campaign_id uuid GENERATED ALWAYS AS (CASE related_to_type WHEN 'campaign' THEN related_to_id END) STORED,
    CONSTRAINT crm_tasks_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT crm_tasks_title_length CHECK (length(btrim(title)) > 0),
    CONSTRAINT crm_tasks_description_length CHECK (length(description) <= 10000),
    CONSTRAINT crm_tasks_related_to_type_known CHECK (related_to_type IN ('company', 'contact', 'deal', 'project')),
    CONSTRAINT crm_tasks_related_to_id_pair CHECK ((related_to_type IS NULL) = (related_to_id IS NULL)),
    CONSTRAINT crm_tasks_task_type_known CHECK (task_type IN ('call', 'email', 'meeting', 'todo', 'follow_up', 'demo')),
    CONSTRAINT crm_tasks_status_known CHECK (status IN ('pending', 'in_progress', 'completed', 'cancelled')),
    CONSTRAINT crm_tasks_priority_known CHECK (priority IN ('low', 'medium', 'high', 'urgent')),
    -- Infinity stands for no date in the keys above.
    CONSTRAINT crm_tasks_due_date_range CHECK (isfinite(due_date)),
    CONSTRAINT crm_tasks_remind_at_range CHECK (isfinite(remind_at)),
    CONSTRAINT crm_tasks_due_date_day CHECK (
        NOT is_all_day OR (due_date IS NOT NULL AND (due_date AT TIME ZONE 'UTC')::time = '00:00')),
    CONSTRAINT crm_tasks_recurrence_due CHECK (recurrence IS NULL OR due_date IS NOT NULL),
    CONSTRAINT crm_tasks_completed_at_completed CHECK ((status = 'completed') = (completed_at IS NOT NULL)),
    CONSTRAINT crm_tasks_tags_list CHECK (app.valid_tags(tags)),
    CONSTRAINT crm_tasks_custom_fields_object CHECK (app.valid_object(custom_fields)),
    CONSTRAINT crm_tasks_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations (id),
    CONSTRAINT crm_tasks_rel_company_id_fkey FOREIGN KEY (organization_id, rel_company_id)
        REFERENCES crm_companies (organization_id, id),
    CONSTRAINT crm_tasks_rel_contact_id_fkey FOREIGN KEY (organization_id, rel_contact_id)
        REFERENCES crm_contacts (organization_id, id),
    CONSTRAINT crm_tasks_rel_deal_id_fkey FOREIGN KEY (organization_id, rel_deal_id)
        REFERENCES crm_deals (organization_id, id),
    CONSTRAINT crm_tasks_rel_project_id_fkey FOREIGN KEY (organization_id, rel_project_id)
        REFERENCES crm_projects (organization_id, id),
    -- Asked at the end of the transaction: the task that is completed names the next one before that is made, so that it changes once.
    CONSTRAINT crm_tasks_next_id_fkey FOREIGN KEY (organization_id, next_id)
        REFERENCES crm_tasks (organization_id, id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT crm_tasks_assigned_to_id_fkey FOREIGN KEY (organization_id, assigned_to_id)
        REFERENCES memberships (organization_id, user_id),
    CONSTRAINT crm_tasks_created_by_id_fkey FOREIGN KEY (organization_id, created_by_id)
        REFERENCES memberships (organization_id, user_id),
    CONSTRAINT crm_tasks_deleted_by_id_fkey FOREIGN KEY (organization_id, deleted_by_id)
        REFERENCES memberships (organization_id, user_id)
) WITH (fillfactor = 85);

CREATE INDEX crm_tasks_title    ON crm_tasks (organization_id, title_key, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_tasks_due      ON crm_tasks (organization_id, due_key, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_tasks_mine     ON crm_tasks (organization_id, assigned_to_id, open_due_key, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_tasks_assigned ON crm_tasks (organization_id, assigned_to_id, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_tasks_related  ON crm_tasks (organization_id, related_to_id, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_tasks_of_type  ON crm_tasks (organization_id, related_to_type, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_tasks_type     ON crm_tasks (organization_id, task_type, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_tasks_status   ON crm_tasks (organization_id, status, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_tasks_priority ON crm_tasks (organization_id, priority, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_tasks_bin      ON crm_tasks (organization_id, id) WHERE deleted_at IS NOT NULL;
CREATE INDEX crm_tasks_facets ON crm_tasks
    USING gin (organization_id, tags jsonb_path_ops, custom_fields jsonb_path_ops);
-- Purging looks from a record for what refers to it, in the bin too; the indexes of lists know the living only.
CREATE INDEX crm_tasks_company_reference ON crm_tasks (organization_id, rel_company_id) WHERE rel_company_id IS NOT NULL;
CREATE INDEX crm_tasks_contact_reference ON crm_tasks (organization_id, rel_contact_id) WHERE rel_contact_id IS NOT NULL;
CREATE INDEX crm_tasks_deal_reference    ON crm_tasks (organization_id, rel_deal_id) WHERE rel_deal_id IS NOT NULL;
CREATE INDEX crm_tasks_project_reference ON crm_tasks (organization_id, rel_project_id) WHERE rel_project_id IS NOT NULL;
CREATE INDEX crm_tasks_campaign_reference ON crm_tasks (organization_id, rel_campaign_id) WHERE rel_campaign_id IS NOT NULL;
CREATE INDEX crm_tasks_next_reference    ON crm_tasks (organization_id, next_id) WHERE next_id IS NOT NULL;

-- ---------------------------------------------------------------- guards

-- As before, for records whose owner is called otherwise too: the trigger's argument is the column.
CREATE OR REPLACE FUNCTION app.guard_record() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    id_text      text;
    id_moment    bigint;
    owner_column text := coalesce(TG_ARGV[0], 'owner_id');
    owner        uuid;
    old_owner    uuid;
    owner_status text;
BEGIN
    -- Each in a statement of its own: a row has one of the two columns.
    IF owner_column = 'assigned_to_id' THEN
        owner := NEW.assigned_to_id;
        IF TG_OP = 'UPDATE' THEN
            old_owner := OLD.assigned_to_id;
        END IF;
    ELSE
        owner := NEW.owner_id;
        IF TG_OP = 'UPDATE' THEN
            old_owner := OLD.owner_id;
        END IF;
    END IF;

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
    IF owner IS DISTINCT FROM app.user_id()
       AND (TG_OP = 'INSERT' OR owner IS DISTINCT FROM old_owner)
    THEN
        SELECT status
          INTO owner_status
          FROM public.memberships
         WHERE organization_id = NEW.organization_id AND user_id = owner;
        IF owner IS NOT NULL AND owner_status IS NULL THEN
            RAISE EXCEPTION 'no such member'
                USING ERRCODE = 'foreign_key_violation', CONSTRAINT = format('%s_%s_fkey', TG_TABLE_NAME, owner_column),
                      COLUMN = owner_column, TABLE = TG_TABLE_NAME;
        ELSIF owner_status <> 'active' THEN
            RAISE EXCEPTION 'the owner is not an active member'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'owner_not_active', COLUMN = owner_column,
                      TABLE = TG_TABLE_NAME;
        END IF;
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION app.guard_task() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    related regclass;
BEGIN
    IF TG_OP = 'INSERT' OR (NEW.related_to_type, NEW.related_to_id) IS DISTINCT FROM (OLD.related_to_type, OLD.related_to_id) THEN
        -- The table of a kind of record. What a task cannot be about is the CHECK's to refuse, and so is half of the pair.
        related := app.custom_field_table(NEW.related_to_type);
        IF related IS NOT NULL THEN
            PERFORM app.require_parent(NEW.organization_id, TG_TABLE_NAME, related, NEW.related_to_id, 'related_to_id');
        END IF;
    END IF;

    IF NEW.status <> 'completed' THEN
        NEW.completed_at := NULL;
    ELSIF NEW.completed_at IS NULL THEN
        -- The clock's moment, after the row was waited for.
        NEW.completed_at := clock_timestamp();
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER guard_10_record BEFORE INSERT OR UPDATE ON crm_tasks
    FOR EACH ROW EXECUTE FUNCTION app.guard_record('assigned_to_id');
CREATE TRIGGER guard_20_task BEFORE INSERT OR UPDATE ON crm_tasks
    FOR EACH ROW EXECUTE FUNCTION app.guard_task();

-- ---------------------------------------------------------------- what every noun has

-- As before, and tasks among those that something can happen to.
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
ALTER TABLE crm_custom_fields
    DROP CONSTRAINT crm_custom_fields_entity_known,
    ADD CONSTRAINT crm_custom_fields_entity_known CHECK (entity IN ('company', 'contact', 'deal', 'project', 'task'));

ALTER TABLE crm_external_ids
    ADD COLUMN rel_task_id uuid GENERATED ALWAYS AS (CASE entity_type WHEN 'task' THEN entity_id END) STORED,
    DROP CONSTRAINT crm_external_ids_entity_type_known,
    ADD CONSTRAINT crm_external_ids_entity_type_known CHECK (entity_type IN ('company', 'contact', 'deal', 'project', 'task')),
    ADD CONSTRAINT crm_external_ids_rel_task_id_fkey FOREIGN KEY (organization_id, rel_task_id)
        REFERENCES crm_tasks (organization_id, id);
CREATE INDEX crm_external_ids_task ON crm_external_ids (organization_id, rel_task_id) WHERE rel_task_id IS NOT NULL;
SELECT app.install_tracking(
    'crm_external_ids', 'external_id', $$r.source || ' ' || r.external_id$$,
    subject_type => 'r.entity_type', subject_id => 'r.entity_id');

SELECT app.secure_table('crm_tasks', 'member', ARRAY['assigned_to_id', 'created_by_id']);
-- What happens to a task happened to the record that it is about.
SELECT app.install_tracking(
    'crm_tasks', 'task', 'r.title', status_column => 'status',
    subject_type => $$coalesce(r.related_to_type, 'task')$$, subject_id => 'coalesce(r.related_to_id, r.id)');
SELECT app.install_times('crm_tasks', 'task', 'q_tasks');
SELECT app.install_custom_values('crm_tasks', 'task');

-- completed_at is the guard's to set.
GRANT SELECT,
      INSERT (id, title, description, related_to_type, related_to_id, task_type, status, priority, due_date, is_all_day, remind_at,
              recurrence, assigned_to_id, tags, custom_fields),
      UPDATE (title, description, related_to_type, related_to_id, task_type, status, priority, due_date, is_all_day, remind_at,
              recurrence, next_id, assigned_to_id, tags, custom_fields, deleted_at)
   ON crm_tasks TO crm_app;
GRANT DELETE, UPDATE (custom_fields) ON crm_tasks TO crm_definer;

SELECT app.seal_functions();
