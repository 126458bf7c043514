-- Contacts, their further addresses and numbers, and the companies they belong to besides the first.
--
-- What must stay true:
--   * An e-mail address belongs to at most one living contact of an organisation, whatever its case.
--   * crm_contacts.email and phone are the primary contact points. Mirroring arrives together with the writing of
--     contact points; until then crm_app can only read crm_contact_points, so that the two cannot disagree.

CREATE TABLE crm_contacts (
    id              uuid         NOT NULL DEFAULT app.uuid7(),
    organization_id uuid         NOT NULL DEFAULT app.org_id(),
    company_id      uuid,
    first_name      varchar(100) NOT NULL,
    last_name       varchar(100) NOT NULL,
    email           varchar(255),
    phone           varchar(50),
    mobile          varchar(50),
    title           varchar(100),
    department      varchar(100),
    contact_status  varchar(50)  NOT NULL DEFAULT 'active',
    lead_source     varchar(100),
    lead_score      integer,
    owner_id        uuid                  DEFAULT app.user_id(),
    social_profiles jsonb,
    preferences     jsonb,
    tags            jsonb        NOT NULL DEFAULT '[]',
    custom_fields   jsonb        NOT NULL DEFAULT '{}',
    created_at      timestamptz  NOT NULL DEFAULT now(),
    updated_at      timestamptz  NOT NULL DEFAULT now(),
    deleted_at      timestamptz,
    version         integer      NOT NULL DEFAULT 1,
    created_by_id   uuid                  DEFAULT app.user_id(),
    deleted_by_id   uuid,
    email_key       text COLLATE "C" GENERATED ALWAYS AS (lower(email)) STORED,
    name_key        text COLLATE "C" NOT NULL GENERATED ALWAYS AS (lower(last_name || ' ' || first_name)) STORED,
    lead_score_key  bigint NOT NULL GENERATED ALWAYS AS (coalesce(lead_score::bigint, 9223372036854775807)) STORED,
    CONSTRAINT crm_contacts_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT crm_contacts_first_name_length CHECK (length(btrim(first_name)) > 0),
    CONSTRAINT crm_contacts_last_name_length CHECK (length(btrim(last_name)) > 0),
    CONSTRAINT crm_contacts_email_length CHECK (length(btrim(email)) > 0),
    CONSTRAINT crm_contacts_contact_status_known CHECK (contact_status IN ('active', 'inactive', 'bounced')),
    CONSTRAINT crm_contacts_lead_score_range CHECK (lead_score BETWEEN 0 AND 100),
    CONSTRAINT crm_contacts_social_profiles_object CHECK (app.valid_object(social_profiles)),
    CONSTRAINT crm_contacts_preferences_object CHECK (app.valid_object(preferences)),
    CONSTRAINT crm_contacts_tags_list CHECK (app.valid_tags(tags)),
    CONSTRAINT crm_contacts_custom_fields_object CHECK (app.valid_object(custom_fields)),
    CONSTRAINT crm_contacts_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations (id),
    CONSTRAINT crm_contacts_company_id_fkey FOREIGN KEY (organization_id, company_id)
        REFERENCES crm_companies (organization_id, id),
    CONSTRAINT crm_contacts_owner_id_fkey FOREIGN KEY (organization_id, owner_id)
        REFERENCES memberships (organization_id, user_id),
    CONSTRAINT crm_contacts_created_by_id_fkey FOREIGN KEY (organization_id, created_by_id)
        REFERENCES memberships (organization_id, user_id),
    CONSTRAINT crm_contacts_deleted_by_id_fkey FOREIGN KEY (organization_id, deleted_by_id)
        REFERENCES memberships (organization_id, user_id)
);

CREATE UNIQUE INDEX crm_contacts_email_live ON crm_contacts (organization_id, email_key) WHERE deleted_at IS NULL;
-- With id behind the key: pages sorted by e-mail cannot use the unique index, because there many have no address at
-- all.
CREATE INDEX crm_contacts_email       ON crm_contacts (organization_id, email_key, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_contacts_name        ON crm_contacts (organization_id, name_key, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_contacts_lead_score  ON crm_contacts (organization_id, lead_score_key, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_contacts_owner       ON crm_contacts (organization_id, owner_id, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_contacts_company     ON crm_contacts (organization_id, company_id, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_contacts_status      ON crm_contacts (organization_id, contact_status, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_contacts_lead_source ON crm_contacts (organization_id, lead_source, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_contacts_bin         ON crm_contacts (organization_id, id) WHERE deleted_at IS NOT NULL;
CREATE INDEX crm_contacts_facets ON crm_contacts
    USING gin (organization_id, tags jsonb_path_ops, custom_fields jsonb_path_ops);

CREATE FUNCTION app.guard_contact() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF TG_OP = 'INSERT' OR NEW.company_id IS DISTINCT FROM OLD.company_id THEN
        PERFORM app.require_parent(NEW.organization_id, TG_TABLE_NAME, 'public.crm_companies', NEW.company_id, 'company_id');
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER guard_10_record BEFORE INSERT OR UPDATE ON crm_contacts
    FOR EACH ROW EXECUTE FUNCTION app.guard_record();
CREATE TRIGGER guard_20_contact BEFORE INSERT OR UPDATE OF company_id ON crm_contacts
    FOR EACH ROW EXECUTE FUNCTION app.guard_contact();

SELECT app.secure_table('crm_contacts', 'member', ARRAY['owner_id', 'created_by_id']);
SELECT app.install_tracking(
    'crm_contacts', 'contact', $$concat_ws(' ', r.first_name, r.last_name)$$, status_column => 'contact_status');
SELECT app.install_query_view('crm_contacts', 'q_contacts');

GRANT SELECT,
      INSERT (id, company_id, first_name, last_name, email, phone, mobile, title, department, contact_status,
              lead_source, lead_score, owner_id, social_profiles, preferences, tags, custom_fields),
      UPDATE (company_id, first_name, last_name, email, phone, mobile, title, department, contact_status,
              lead_source, lead_score, owner_id, social_profiles, preferences, tags, custom_fields, deleted_at)
   ON crm_contacts TO crm_app;

-- ---------------------------------------------------------------- contact points

CREATE TABLE crm_contact_points (
    organization_id uuid         NOT NULL DEFAULT app.org_id(),
    id              uuid         NOT NULL DEFAULT app.uuid7(),
    contact_id      uuid         NOT NULL,
    kind            varchar(10)  NOT NULL,
    label           varchar(50),
    value           varchar(255) NOT NULL,
    value_key       text COLLATE "C" NOT NULL GENERATED ALWAYS AS (lower(value)) STORED,
    is_primary      boolean      NOT NULL DEFAULT false,
    position        integer      NOT NULL DEFAULT 0,
    created_at      timestamptz  NOT NULL DEFAULT now(),
    updated_at      timestamptz  NOT NULL DEFAULT now(),
    version         integer      NOT NULL DEFAULT 1,
    CONSTRAINT crm_contact_points_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT crm_contact_points_kind_known CHECK (kind IN ('email', 'phone')),
    CONSTRAINT crm_contact_points_value_length CHECK (length(btrim(value)) > 0),
    CONSTRAINT crm_contact_points_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations (id),
    CONSTRAINT crm_contact_points_contact_id_fkey FOREIGN KEY (organization_id, contact_id)
        REFERENCES crm_contacts (organization_id, id)
);
CREATE UNIQUE INDEX crm_contact_points_value_once ON crm_contact_points (organization_id, contact_id, kind, value_key);
CREATE UNIQUE INDEX crm_contact_points_one_primary ON crm_contact_points (organization_id, contact_id, kind)
    WHERE is_primary;
CREATE INDEX crm_contact_points_value ON crm_contact_points (organization_id, kind, value_key, contact_id);

CREATE TRIGGER guard_20_child BEFORE INSERT OR UPDATE OR DELETE ON crm_contact_points
    FOR EACH ROW EXECUTE FUNCTION app.guard_child('crm_contacts', 'contact_id');

SELECT app.secure_table('crm_contact_points', 'member', deletable => true);
SELECT app.install_tracking(
    'crm_contact_points', 'contact_point', 'r.value', subject_type => '''contact''', subject_id => 'r.contact_id');
GRANT SELECT ON crm_contact_points TO crm_app;

-- ---------------------------------------------------------------- further companies of a contact

CREATE TABLE crm_contact_companies (
    organization_id uuid        NOT NULL DEFAULT app.org_id(),
    id              uuid        NOT NULL DEFAULT app.uuid7(),
    contact_id      uuid        NOT NULL,
    company_id      uuid        NOT NULL,
    role            varchar(100),
    is_primary      boolean     NOT NULL DEFAULT false,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    version         integer     NOT NULL DEFAULT 1,
    CONSTRAINT crm_contact_companies_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT crm_contact_companies_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations (id),
    CONSTRAINT crm_contact_companies_contact_id_fkey FOREIGN KEY (organization_id, contact_id)
        REFERENCES crm_contacts (organization_id, id),
    CONSTRAINT crm_contact_companies_company_id_fkey FOREIGN KEY (organization_id, company_id)
        REFERENCES crm_companies (organization_id, id)
);
CREATE UNIQUE INDEX crm_contact_companies_once ON crm_contact_companies (organization_id, contact_id, company_id);
CREATE UNIQUE INDEX crm_contact_companies_one_primary ON crm_contact_companies (organization_id, contact_id)
    WHERE is_primary;
CREATE INDEX crm_contact_companies_company ON crm_contact_companies (organization_id, company_id, contact_id);

CREATE TRIGGER guard_20_child BEFORE INSERT OR UPDATE OR DELETE ON crm_contact_companies
    FOR EACH ROW EXECUTE FUNCTION app.guard_child('crm_contacts', 'contact_id');
CREATE TRIGGER guard_30_company BEFORE INSERT ON crm_contact_companies
    FOR EACH ROW EXECUTE FUNCTION app.guard_contact();

SELECT app.secure_table('crm_contact_companies', 'member', deletable => true);
SELECT app.install_tracking(
    'crm_contact_companies', 'contact_company', $$coalesce(r.role, '')$$,
    subject_type => '''contact''', subject_id => 'r.contact_id');
GRANT SELECT, DELETE, INSERT (id, contact_id, company_id, role, is_primary), UPDATE (role, is_primary)
   ON crm_contact_companies TO crm_app;

SELECT app.seal_functions();
