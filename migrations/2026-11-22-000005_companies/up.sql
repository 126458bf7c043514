-- Companies.
--
-- What must stay true:
--   * A company's parents form no cycle and no chain of more than 20, also when two of them are moved at the same
--     moment.
--   * Every field that can be sorted by and may be NULL has a generated key that is NOT NULL, leakproof to compare, and
--     puts NULLs last.
--   * updated_at is in no index: it would end HOT updates.

CREATE TABLE crm_companies (
    id                 uuid         NOT NULL DEFAULT app.uuid7(),
    organization_id    uuid         NOT NULL DEFAULT app.org_id(),
    name               varchar(255) NOT NULL,
    slug               varchar(100) NOT NULL,
    industry           varchar(100),
    company_size       varchar(50),
    website            varchar(500),
    billing_address    jsonb,
    shipping_address   jsonb,
    annual_revenue     numeric(18,3),
    employee_count     integer,
    company_status     varchar(50)  NOT NULL DEFAULT 'lead',
    owner_id           uuid                  DEFAULT app.user_id(),
    tags               jsonb        NOT NULL DEFAULT '[]',
    custom_fields      jsonb        NOT NULL DEFAULT '{}',
    created_at         timestamptz  NOT NULL DEFAULT now(),
    updated_at         timestamptz  NOT NULL DEFAULT now(),
    deleted_at         timestamptz,
    version            integer      NOT NULL DEFAULT 1,
    parent_id          uuid,
    created_by_id      uuid                  DEFAULT app.user_id(),
    deleted_by_id      uuid,
    name_key           text COLLATE "C" NOT NULL GENERATED ALWAYS AS (lower(name)) STORED,
    annual_revenue_key bigint NOT NULL
        GENERATED ALWAYS AS (coalesce((annual_revenue * 1000)::bigint, 9223372036854775807)) STORED,
    employee_count_key bigint NOT NULL
        GENERATED ALWAYS AS (coalesce(employee_count::bigint, 9223372036854775807)) STORED,
    CONSTRAINT crm_companies_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT crm_companies_name_length CHECK (length(btrim(name)) > 0),
    CONSTRAINT crm_companies_slug_length CHECK (length(btrim(slug)) > 0),
    CONSTRAINT crm_companies_slug_lower CHECK (slug = lower(slug)),
    CONSTRAINT crm_companies_company_size_known
        CHECK (company_size IN ('startup', 'small', 'medium', 'enterprise')),
    CONSTRAINT crm_companies_company_status_known
        CHECK (company_status IN ('lead', 'prospect', 'customer', 'churned')),
    CONSTRAINT crm_companies_employee_count_range CHECK (employee_count >= 0),
    CONSTRAINT crm_companies_billing_address_object CHECK (app.valid_object(billing_address)),
    CONSTRAINT crm_companies_shipping_address_object CHECK (app.valid_object(shipping_address)),
    CONSTRAINT crm_companies_tags_list CHECK (app.valid_tags(tags)),
    CONSTRAINT crm_companies_custom_fields_object CHECK (app.valid_object(custom_fields)),
    CONSTRAINT crm_companies_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations (id),
    CONSTRAINT crm_companies_parent_id_fkey FOREIGN KEY (organization_id, parent_id)
        REFERENCES crm_companies (organization_id, id),
    CONSTRAINT crm_companies_owner_id_fkey FOREIGN KEY (organization_id, owner_id)
        REFERENCES memberships (organization_id, user_id),
    CONSTRAINT crm_companies_created_by_id_fkey FOREIGN KEY (organization_id, created_by_id)
        REFERENCES memberships (organization_id, user_id),
    CONSTRAINT crm_companies_deleted_by_id_fkey FOREIGN KEY (organization_id, deleted_by_id)
        REFERENCES memberships (organization_id, user_id)
);

-- A deleted company frees its address. Newest first needs no index: it is the primary key backwards.
CREATE UNIQUE INDEX crm_companies_slug_live ON crm_companies (organization_id, slug) WHERE deleted_at IS NULL;
CREATE INDEX crm_companies_name           ON crm_companies (organization_id, name_key, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_companies_annual_revenue ON crm_companies (organization_id, annual_revenue_key, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_companies_employee_count ON crm_companies (organization_id, employee_count_key, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_companies_owner          ON crm_companies (organization_id, owner_id, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_companies_status         ON crm_companies (organization_id, company_status, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_companies_industry       ON crm_companies (organization_id, industry, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_companies_size           ON crm_companies (organization_id, company_size, id) WHERE deleted_at IS NULL;
-- Deleted subsidiaries count for the depth of a chain, so this one is not limited to the living.
CREATE INDEX crm_companies_parent         ON crm_companies (organization_id, parent_id, id) WHERE parent_id IS NOT NULL;
CREATE INDEX crm_companies_bin            ON crm_companies (organization_id, id) WHERE deleted_at IS NOT NULL;
CREATE INDEX crm_companies_facets ON crm_companies
    USING gin (organization_id, tags jsonb_path_ops, custom_fields jsonb_path_ops);

CREATE FUNCTION app.guard_company() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    max_depth CONSTANT integer := 20;
    ancestor uuid    := NEW.parent_id;
    above    integer := 0;
    below    integer := 0;
BEGIN
    IF NEW.parent_id IS NULL OR (TG_OP = 'UPDATE' AND NEW.parent_id IS NOT DISTINCT FROM OLD.parent_id) THEN
        RETURN NEW;
    END IF;
    PERFORM app.refuse_deleted_parent(NEW.organization_id, 'public.crm_companies', NEW.parent_id, 'parent_id');

    -- Without this lock two writers could each hang one company under the other and neither would see a cycle. It is
    -- taken only when a parent is set. The statements after it see what the one before committed, because transactions
    -- are read committed.
    PERFORM pg_advisory_xact_lock(hashtextextended('crm_companies.parent_id ' || NEW.organization_id, 0));

    WHILE ancestor IS NOT NULL LOOP
        IF ancestor = NEW.id THEN
            RAISE EXCEPTION 'a company cannot be among its own parents'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'parent_cycle', COLUMN = 'parent_id', TABLE = TG_TABLE_NAME;
        END IF;
        above := above + 1;
        EXIT WHEN above > max_depth;
        ancestor := (SELECT parent_id
                       FROM public.crm_companies
                      WHERE organization_id = NEW.organization_id AND id = ancestor);
    END LOOP;

    -- What hangs below moves along and must stay within the bound too.
    WITH RECURSIVE descendant AS (
        SELECT id, 1 AS depth
          FROM public.crm_companies
         WHERE organization_id = NEW.organization_id AND parent_id = NEW.id
        UNION ALL
        SELECT child.id, descendant.depth + 1
          FROM descendant
          JOIN public.crm_companies AS child
            ON child.organization_id = NEW.organization_id AND child.parent_id = descendant.id
         WHERE descendant.depth <= max_depth
    )
    SELECT coalesce(max(depth), 0) INTO below FROM descendant;

    IF above + below > max_depth THEN
        RAISE EXCEPTION 'a chain of parents may have at most % companies above', max_depth
            USING ERRCODE = 'check_violation', CONSTRAINT = 'parent_depth', COLUMN = 'parent_id', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER guard_10_record BEFORE INSERT OR UPDATE ON crm_companies
    FOR EACH ROW EXECUTE FUNCTION app.guard_record();
CREATE TRIGGER guard_20_company BEFORE INSERT OR UPDATE OF parent_id ON crm_companies
    FOR EACH ROW EXECUTE FUNCTION app.guard_company();

SELECT app.secure_table('crm_companies', 'member', ARRAY['owner_id', 'created_by_id']);
SELECT app.install_tracking('crm_companies', 'company', 'r.name', status_column => 'company_status');
SELECT app.install_query_view('crm_companies', 'q_companies');

GRANT SELECT,
      INSERT (id, name, slug, industry, company_size, website, billing_address, shipping_address, annual_revenue,
              employee_count, company_status, owner_id, tags, custom_fields, parent_id),
      UPDATE (name, slug, industry, company_size, website, billing_address, shipping_address, annual_revenue,
              employee_count, company_status, owner_id, tags, custom_fields, parent_id, deleted_at)
   ON crm_companies TO crm_app;

SELECT app.seal_functions();
