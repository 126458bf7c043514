-- Notes: what somebody wrote about a record.
--
-- What must stay true:
--   * A note is about one record or none: the pair (related_to_type, related_to_id) is real foreign keys of the same organisation,
--     through the generated columns rel_….
--   * What was written is kept to the letter. What is shown of it is made when it is asked for.
--   * Whom a note mentions were active members of its organisation when they were named; memberships are never deleted.

CREATE TABLE crm_notes (
    id              uuid        NOT NULL DEFAULT app.uuid7(),
    organization_id uuid        NOT NULL DEFAULT app.org_id(),
    content         text        NOT NULL,
    related_to_type varchar(50),
    related_to_id   uuid,
    is_pinned       boolean     NOT NULL DEFAULT false,
    mentions        jsonb       NOT NULL DEFAULT '[]',
    owner_id        uuid                 DEFAULT app.user_id(),
    tags            jsonb       NOT NULL DEFAULT '[]',
    custom_fields   jsonb       NOT NULL DEFAULT '{}',
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    deleted_at      timestamptz,
    version         integer     NOT NULL DEFAULT 1,
    created_by_id   uuid                 DEFAULT app.user_id(),
    deleted_by_id   uuid,
    rel_company_id  uuid GENERATED ALWAYS AS (CASE related_to_type WHEN 'company' THEN related_to_id END) STORED,
    rel_contact_id  uuid GENERATED ALWAYS AS (CASE related_to_type WHEN 'contact' THEN related_to_id END) STORED,
    rel_deal_id     uuid GENERATED ALWAYS AS (CASE related_to_type WHEN 'deal'    THEN related_to_id END) STORED,
    rel_project_id  uuid GENERATED ALWAYS AS (CASE related_to_type WHEN 'project' THEN related_to_id END) STORED,
    rel_task_id     uuid GENERATED ALWAYS AS (CASE related_to_type WHEN 'task'    THEN related_to_id END) STORED,
    rel_campaign_id uuid GENERATED ALWAYS AS (CASE related_to_type WHEN 'campaign' THEN related_to_id END) STORED,
    CONSTRAINT crm_notes_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT crm_notes_content_length CHECK (length(btrim(content)) > 0 AND length(content) <= 20000),
    CONSTRAINT crm_notes_related_to_type_known CHECK (related_to_type IN ('company', 'contact', 'deal', 'project', 'task', 'campaign')),
    CONSTRAINT crm_notes_related_to_id_pair CHECK ((related_to_type IS NULL) = (related_to_id IS NULL)),
    -- A list of so many texts at most; that they are members is the guard's to see.
    CONSTRAINT crm_notes_mentions_list CHECK (app.valid_tags(mentions)),
    CONSTRAINT crm_notes_tags_list CHECK (app.valid_tags(tags)),
    CONSTRAINT crm_notes_custom_fields_object CHECK (app.valid_object(custom_fields)),
    CONSTRAINT crm_notes_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations (id),
    CONSTRAINT crm_notes_rel_company_id_fkey FOREIGN KEY (organization_id, rel_company_id)
        REFERENCES crm_companies (organization_id, id),
    CONSTRAINT crm_notes_rel_contact_id_fkey FOREIGN KEY (organization_id, rel_contact_id)
        REFERENCES crm_contacts (organization_id, id),
    CONSTRAINT crm_notes_rel_deal_id_fkey FOREIGN KEY (organization_id, rel_deal_id)
        REFERENCES crm_deals (organization_id, id),
    CONSTRAINT crm_notes_rel_project_id_fkey FOREIGN KEY (organization_id, rel_project_id)
        REFERENCES crm_projects (organization_id, id),
    CONSTRAINT crm_notes_rel_campaign_id_fkey FOREIGN KEY (organization_id, rel_campaign_id)
        REFERENCES crm_campaigns (organization_id, id),
    CONSTRAINT crm_notes_rel_task_id_fkey FOREIGN KEY (organization_id, rel_task_id)
        REFERENCES crm_tasks (organization_id, id),
    CONSTRAINT crm_notes_owner_id_fkey FOREIGN KEY (organization_id, owner_id)
        REFERENCES memberships (organization_id, user_id),
    CONSTRAINT crm_notes_created_by_id_fkey FOREIGN KEY (organization_id, created_by_id)
        REFERENCES memberships (organization_id, user_id),
    CONSTRAINT crm_notes_deleted_by_id_fkey FOREIGN KEY (organization_id, deleted_by_id)
        REFERENCES memberships (organization_id, user_id)
) WITH (fillfactor = 85);

CREATE INDEX crm_notes_pinned  ON crm_notes (organization_id, is_pinned, id) WHERE deleted_at IS NULL;
-- The list below a record: its notes, pinned ones first.
CREATE INDEX crm_notes_related ON crm_notes (organization_id, related_to_id, is_pinned, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_notes_of_type ON crm_notes (organization_id, related_to_type, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_notes_owner   ON crm_notes (organization_id, owner_id, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_notes_bin     ON crm_notes (organization_id, id) WHERE deleted_at IS NOT NULL;
-- The bin in the order that lists have unless they are asked for another.
CREATE INDEX crm_notes_pinned_bin ON crm_notes (organization_id, is_pinned, id) WHERE deleted_at IS NOT NULL;
CREATE INDEX crm_notes_facets ON crm_notes
    USING gin (organization_id, tags jsonb_path_ops, custom_fields jsonb_path_ops, mentions jsonb_path_ops);
-- Purging looks from a record for what refers to it, in the bin too; the indexes of lists know the living only.
CREATE INDEX crm_notes_company_reference ON crm_notes (organization_id, rel_company_id) WHERE rel_company_id IS NOT NULL;
CREATE INDEX crm_notes_contact_reference ON crm_notes (organization_id, rel_contact_id) WHERE rel_contact_id IS NOT NULL;
CREATE INDEX crm_notes_deal_reference ON crm_notes (organization_id, rel_deal_id) WHERE rel_deal_id IS NOT NULL;
CREATE INDEX crm_notes_project_reference ON crm_notes (organization_id, rel_project_id) WHERE rel_project_id IS NOT NULL;
CREATE INDEX crm_notes_task_reference ON crm_notes (organization_id, rel_task_id) WHERE rel_task_id IS NOT NULL;
CREATE INDEX crm_notes_campaign_reference ON crm_notes (organization_id, rel_campaign_id) WHERE rel_campaign_id IS NOT NULL;

CREATE FUNCTION app.guard_note() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    related regclass;
    missing text;
BEGIN
    IF TG_OP = 'INSERT' OR (NEW.related_to_type, NEW.related_to_id) IS DISTINCT FROM (OLD.related_to_type, OLD.related_to_id) THEN
        -- The table of a kind of record. What a note cannot be about is the CHECK's to refuse, and so is half of the pair.
        related := app.custom_field_table(NEW.related_to_type);
        IF related IS NOT NULL THEN
            PERFORM app.require_parent(NEW.organization_id, TG_TABLE_NAME, related, NEW.related_to_id, 'related_to_id');
        END IF;
    END IF;

    -- Whoever was mentioned and left since stays mentioned.
    IF NEW.mentions <> '[]' AND (TG_OP = 'INSERT' OR NEW.mentions <> OLD.mentions) THEN
        SELECT mentioned
          INTO missing
          FROM jsonb_array_elements_text(NEW.mentions) AS mentioned
         WHERE NOT (TG_OP = 'UPDATE' AND OLD.mentions ? mentioned)
           AND NOT EXISTS (
                SELECT FROM public.memberships
                 WHERE organization_id = NEW.organization_id AND user_id::text = mentioned AND status = 'active')
         LIMIT 1;
        IF missing IS NOT NULL THEN
            RAISE EXCEPTION 'no such active member'
                USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'crm_notes_mentions_fkey', COLUMN = 'mentions',
                      TABLE = TG_TABLE_NAME;
        END IF;
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER guard_10_record BEFORE INSERT OR UPDATE ON crm_notes
    FOR EACH ROW EXECUTE FUNCTION app.guard_record();
CREATE TRIGGER guard_20_note BEFORE INSERT OR UPDATE ON crm_notes
    FOR EACH ROW EXECUTE FUNCTION app.guard_note();

-- ---------------------------------------------------------------- what every noun has

-- As before, and notes among those that something can happen to.
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
           AND subject_type IN ('company', 'contact', 'deal', 'project', 'task', 'campaign', 'note')
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
        WHEN 'campaign' THEN 'public.crm_campaigns'::regclass
        WHEN 'note'    THEN 'public.crm_notes'::regclass
    END
$$;
ALTER TABLE crm_custom_fields
    DROP CONSTRAINT crm_custom_fields_entity_known,
    ADD CONSTRAINT crm_custom_fields_entity_known CHECK (
        entity IN ('company', 'contact', 'deal', 'project', 'task', 'campaign', 'note'));

ALTER TABLE crm_external_ids
    ADD COLUMN rel_note_id uuid GENERATED ALWAYS AS (CASE entity_type WHEN 'note' THEN entity_id END) STORED,
    DROP CONSTRAINT crm_external_ids_entity_type_known,
    ADD CONSTRAINT crm_external_ids_entity_type_known CHECK (
        entity_type IN ('company', 'contact', 'deal', 'project', 'task', 'campaign', 'note')),
    ADD CONSTRAINT crm_external_ids_rel_note_id_fkey FOREIGN KEY (organization_id, rel_note_id)
        REFERENCES crm_notes (organization_id, id);
CREATE INDEX crm_external_ids_note ON crm_external_ids (organization_id, rel_note_id) WHERE rel_note_id IS NOT NULL;
SELECT app.install_tracking(
    'crm_external_ids', 'external_id', $$r.source || ' ' || r.external_id$$,
    subject_type => 'r.entity_type', subject_id => 'r.entity_id');

SELECT app.secure_table('crm_notes', 'member', ARRAY['owner_id', 'created_by_id']);
-- What happens to a note happened to the record that it is about.
SELECT app.install_tracking(
    'crm_notes', 'note', 'left(r.content, 200)',
    subject_type => $$coalesce(r.related_to_type, 'note')$$, subject_id => 'coalesce(r.related_to_id, r.id)');
SELECT app.install_times('crm_notes', 'note', 'q_notes');
SELECT app.install_custom_values('crm_notes', 'note');

GRANT SELECT,
      INSERT (id, content, related_to_type, related_to_id, is_pinned, mentions, owner_id, tags, custom_fields),
      UPDATE (content, related_to_type, related_to_id, is_pinned, mentions, owner_id, tags, custom_fields, deleted_at)
   ON crm_notes TO crm_app;
GRANT DELETE, UPDATE (custom_fields) ON crm_notes TO crm_definer;

SELECT app.seal_functions();
