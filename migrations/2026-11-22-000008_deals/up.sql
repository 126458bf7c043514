-- Deals, their way through the stages, and the contacts that play a part in them.
--
-- What must stay true:
--   * A deal stands in a stage of its pipeline (a foreign key). Won and lost deals have a closing date, open ones have
--     none.
--   * base_amount is the amount in the organisation's currency at base_rate; sums and sorting use it. Once closed, the
--     rate is frozen.
--   * crm_deal_stage_history is derived: one row per stay in a stage, written by the trigger here alone.

CREATE TABLE crm_deals (
    id                  uuid         NOT NULL DEFAULT app.uuid7(),
    organization_id     uuid         NOT NULL DEFAULT app.org_id(),
    company_id          uuid,
    primary_contact_id  uuid,
    name                varchar(255) NOT NULL,
    amount              numeric(18,3),
    currency            varchar(3)   NOT NULL DEFAULT 'USD',
    stage               varchar(50)  NOT NULL DEFAULT 'prospecting',
    probability         integer      NOT NULL DEFAULT 0,
    expected_close_date date,
    actual_close_date   date,
    deal_source         varchar(100),
    lost_reason         text,
    owner_id            uuid                  DEFAULT app.user_id(),
    tags                jsonb        NOT NULL DEFAULT '[]',
    custom_fields       jsonb        NOT NULL DEFAULT '{}',
    created_at          timestamptz  NOT NULL DEFAULT now(),
    updated_at          timestamptz  NOT NULL DEFAULT now(),
    deleted_at          timestamptz,
    version             integer      NOT NULL DEFAULT 1,
    pipeline_id         uuid         NOT NULL,
    created_by_id       uuid                  DEFAULT app.user_id(),
    deleted_by_id       uuid,
    base_amount         numeric(18,3),
    base_rate           numeric(18,8),
    name_key            text COLLATE "C" NOT NULL GENERATED ALWAYS AS (lower(name)) STORED,
    base_amount_key     bigint NOT NULL
        GENERATED ALWAYS AS (coalesce((base_amount * 1000)::bigint, 9223372036854775807)) STORED,
    expected_close_key  date NOT NULL
        GENERATED ALWAYS AS (coalesce(expected_close_date, 'infinity'::date)) STORED,
    actual_close_key    date NOT NULL
        GENERATED ALWAYS AS (coalesce(actual_close_date, 'infinity'::date)) STORED,
    CONSTRAINT crm_deals_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT crm_deals_name_length CHECK (length(btrim(name)) > 0),
    CONSTRAINT crm_deals_amount_range CHECK (amount >= 0),
    CONSTRAINT crm_deals_currency_format CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT crm_deals_probability_range CHECK (probability BETWEEN 0 AND 100),
    -- Infinity stands for no date in the keys below; a real one would be no date of a calendar.
    CONSTRAINT crm_deals_expected_close_date_range CHECK (isfinite(expected_close_date)),
    CONSTRAINT crm_deals_actual_close_date_range CHECK (isfinite(actual_close_date)),
    CONSTRAINT crm_deals_lost_reason_length CHECK (length(lost_reason) <= 10000),
    CONSTRAINT crm_deals_tags_list CHECK (app.valid_tags(tags)),
    CONSTRAINT crm_deals_custom_fields_object CHECK (app.valid_object(custom_fields)),
    CONSTRAINT crm_deals_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations (id),
    CONSTRAINT crm_deals_company_id_fkey FOREIGN KEY (organization_id, company_id)
        REFERENCES crm_companies (organization_id, id),
    CONSTRAINT crm_deals_primary_contact_id_fkey FOREIGN KEY (organization_id, primary_contact_id)
        REFERENCES crm_contacts (organization_id, id),
    CONSTRAINT crm_deals_pipeline_id_fkey FOREIGN KEY (organization_id, pipeline_id)
        REFERENCES crm_pipelines (organization_id, id),
    CONSTRAINT crm_deals_stage_fkey FOREIGN KEY (organization_id, pipeline_id, stage)
        REFERENCES crm_pipeline_stages (organization_id, pipeline_id, key),
    CONSTRAINT crm_deals_owner_id_fkey FOREIGN KEY (organization_id, owner_id)
        REFERENCES memberships (organization_id, user_id),
    CONSTRAINT crm_deals_created_by_id_fkey FOREIGN KEY (organization_id, created_by_id)
        REFERENCES memberships (organization_id, user_id),
    CONSTRAINT crm_deals_deleted_by_id_fkey FOREIGN KEY (organization_id, deleted_by_id)
        REFERENCES memberships (organization_id, user_id)
);

CREATE INDEX crm_deals_name           ON crm_deals (organization_id, name_key, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_deals_base_amount    ON crm_deals (organization_id, base_amount_key, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_deals_expected_close ON crm_deals (organization_id, expected_close_key, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_deals_actual_close   ON crm_deals (organization_id, actual_close_key, id) WHERE deleted_at IS NULL;
-- Not limited to the living: the guard of stages and the foreign key ask for deleted deals too.
CREATE INDEX crm_deals_stage          ON crm_deals (organization_id, pipeline_id, stage, id);
-- Of every pipeline together; lists may ask for a stage alone.
CREATE INDEX crm_deals_stage_alone    ON crm_deals (organization_id, stage, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_deals_currency       ON crm_deals (organization_id, currency, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_deals_source         ON crm_deals (organization_id, deal_source, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_deals_owner          ON crm_deals (organization_id, owner_id, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_deals_company        ON crm_deals (organization_id, company_id, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_deals_contact        ON crm_deals (organization_id, primary_contact_id, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_deals_bin            ON crm_deals (organization_id, id) WHERE deleted_at IS NOT NULL;
CREATE INDEX crm_deals_facets ON crm_deals
    USING gin (organization_id, tags jsonb_path_ops, custom_fields jsonb_path_ops);

-- ---------------------------------------------------------------- guards

CREATE FUNCTION app.stage_outcome(p_org uuid, p_pipeline uuid, p_stage text) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    RETURN (
        SELECT outcome
          FROM public.crm_pipeline_stages
         WHERE organization_id = p_org AND pipeline_id = p_pipeline AND key = p_stage);
END
$$;

CREATE FUNCTION app.guard_deal() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    is_new      boolean := TG_OP = 'INSERT';
    outcome     text;
    old_outcome text;
BEGIN
    IF is_new OR NEW.company_id IS DISTINCT FROM OLD.company_id THEN
        PERFORM app.require_parent(NEW.organization_id, TG_TABLE_NAME, 'public.crm_companies', NEW.company_id, 'company_id');
    END IF;
    IF is_new OR NEW.primary_contact_id IS DISTINCT FROM OLD.primary_contact_id THEN
        PERFORM app.require_parent(NEW.organization_id, TG_TABLE_NAME, 'public.crm_contacts', NEW.primary_contact_id, 'primary_contact_id');
    END IF;

    IF NEW.pipeline_id IS NULL THEN
        NEW.pipeline_id := (
            SELECT id
              FROM public.crm_pipelines
             WHERE organization_id = NEW.organization_id AND is_default AND deleted_at IS NULL);
    ELSIF is_new OR NEW.pipeline_id <> OLD.pipeline_id THEN
        PERFORM app.require_parent(NEW.organization_id, TG_TABLE_NAME, 'public.crm_pipelines', NEW.pipeline_id, 'pipeline_id');
    END IF;

    outcome := app.stage_outcome(NEW.organization_id, NEW.pipeline_id, NEW.stage);  -- NULL: the foreign key will refuse
    IF outcome IN ('won', 'lost') AND NEW.actual_close_date IS NULL THEN
        RAISE EXCEPTION 'a closed deal needs its closing date'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'deal_close_date', COLUMN = 'actual_close_date',
                  TABLE = TG_TABLE_NAME;
    ELSIF outcome = 'open' AND NEW.actual_close_date IS NOT NULL THEN
        RAISE EXCEPTION 'an open deal has no closing date'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'deal_close_date', COLUMN = 'actual_close_date',
                  TABLE = TG_TABLE_NAME;
    END IF;

    IF NOT is_new THEN
        old_outcome := CASE
            WHEN NEW.pipeline_id = OLD.pipeline_id AND NEW.stage = OLD.stage THEN outcome
            ELSE app.stage_outcome(OLD.organization_id, OLD.pipeline_id, OLD.stage)
        END;
        NEW.base_amount := OLD.base_amount;
        NEW.base_rate := OLD.base_rate;
        IF ROW(NEW.amount, NEW.currency, NEW.pipeline_id, NEW.stage)
           IS NOT DISTINCT FROM ROW(OLD.amount, OLD.currency, OLD.pipeline_id, OLD.stage)
        THEN
            RETURN NEW;
        END IF;
        -- The rate of a closed deal is frozen, so last year's sums stay as they were; a corrected amount is counted at
        -- the same rate. In another currency that rate would mean nothing.
        IF old_outcome <> 'open' AND outcome <> 'open' AND NEW.currency = OLD.currency THEN
            NEW.base_amount := NEW.amount * OLD.base_rate;
            RETURN NEW;
        END IF;
    END IF;

    IF NEW.currency = (SELECT default_currency FROM public.organizations WHERE id = NEW.organization_id) THEN
        NEW.base_amount := NEW.amount;
        NEW.base_rate := 1;
    ELSE
        NEW.base_amount := NULL;  -- exchange rates come later
        NEW.base_rate := NULL;
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER guard_10_record BEFORE INSERT OR UPDATE ON crm_deals
    FOR EACH ROW EXECUTE FUNCTION app.guard_record();
CREATE TRIGGER guard_20_deal BEFORE INSERT OR UPDATE ON crm_deals
    FOR EACH ROW EXECUTE FUNCTION app.guard_deal();

-- The closing dates of the deals in a stage were checked against its outcome.
CREATE FUNCTION app.guard_stage_outcome() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF NEW.outcome <> OLD.outcome AND EXISTS (
        SELECT FROM public.crm_deals
         WHERE organization_id = OLD.organization_id AND pipeline_id = OLD.pipeline_id AND stage = OLD.key)
    THEN
        RAISE EXCEPTION 'deals stand in this stage'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'stage_in_use', COLUMN = 'outcome', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER guard_20_outcome BEFORE UPDATE OF outcome ON crm_pipeline_stages
    FOR EACH ROW EXECUTE FUNCTION app.guard_stage_outcome();

SELECT app.secure_table('crm_deals', 'member', ARRAY['owner_id', 'created_by_id']);
SELECT app.install_tracking('crm_deals', 'deal', 'r.name', status_column => 'stage');
SELECT app.install_query_view('crm_deals', 'q_deals');

-- base_amount and base_rate are the guard's to set.
GRANT SELECT,
      INSERT (id, company_id, primary_contact_id, name, amount, currency, stage, probability, expected_close_date,
              actual_close_date, deal_source, lost_reason, owner_id, tags, custom_fields, pipeline_id),
      UPDATE (company_id, primary_contact_id, name, amount, currency, stage, probability, expected_close_date,
              actual_close_date, deal_source, lost_reason, owner_id, tags, custom_fields, pipeline_id, deleted_at)
   ON crm_deals TO crm_app;

-- ---------------------------------------------------------------- stage history

CREATE TABLE crm_deal_stage_history (
    organization_id uuid        NOT NULL,
    deal_id         uuid        NOT NULL,
    seq             bigint      NOT NULL DEFAULT nextval('crm_activities_seq'),
    pipeline_id     uuid        NOT NULL,
    from_stage      varchar(50),
    stage           varchar(50) NOT NULL,
    entered_at      timestamptz NOT NULL,
    left_at         timestamptz,
    next_stage      varchar(50),
    amount          numeric(18,3),
    owner_id        uuid,
    user_id         uuid,
    CONSTRAINT crm_deal_stage_history_pkey PRIMARY KEY (organization_id, deal_id, seq),
    CONSTRAINT crm_deal_stage_history_deal_id_fkey FOREIGN KEY (organization_id, deal_id)
        REFERENCES crm_deals (organization_id, id)
);
CREATE UNIQUE INDEX crm_deal_stage_history_one_open ON crm_deal_stage_history (organization_id, deal_id)
    WHERE left_at IS NULL;
CREATE INDEX crm_deal_stage_history_report ON crm_deal_stage_history (organization_id, entered_at)
    INCLUDE (pipeline_id, stage, next_stage, left_at);

SELECT app.secure_table('crm_deal_stage_history');
SELECT app.install_query_view('crm_deal_stage_history', 'q_deal_stage_history');
GRANT SELECT ON crm_deal_stage_history TO crm_app;
GRANT INSERT, UPDATE ON crm_deal_stage_history TO crm_definer;

CREATE FUNCTION app.track_deal_stage() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    -- The clock's moment, after the row was waited for: with the transaction's, a stay could end before it began.
    moment timestamptz := clock_timestamp();
BEGIN
    IF TG_OP = 'INSERT' THEN
        -- An imported deal (the only kind not created now) has stood in its stage since it was closed, or else since it
        -- was created.
        INSERT INTO public.crm_deal_stage_history (
            organization_id, deal_id, seq, pipeline_id, stage, entered_at, amount, owner_id, user_id)
        SELECT deal.organization_id, deal.id, nextval('public.crm_activities_seq'), deal.pipeline_id, deal.stage,
               CASE WHEN deal.created_at < now() AND stage.outcome <> 'open'
                    THEN deal.actual_close_date::timestamp AT TIME ZONE 'UTC'
                    ELSE deal.created_at
               END,
               deal.amount, deal.owner_id, app.user_id()
          FROM newtab AS deal
          LEFT JOIN public.crm_pipeline_stages AS stage
            ON stage.organization_id = deal.organization_id
           AND stage.pipeline_id = deal.pipeline_id
           AND stage.key = deal.stage;
        RETURN NULL;
    END IF;

    UPDATE public.crm_deal_stage_history AS history
       SET left_at = greatest(moment, history.entered_at), next_stage = deal.stage
      FROM newtab AS deal
      JOIN oldtab AS before USING (organization_id, id)
     WHERE (deal.pipeline_id, deal.stage) <> (before.pipeline_id, before.stage)
       AND history.organization_id = deal.organization_id
       AND history.deal_id = deal.id
       AND history.left_at IS NULL;

    INSERT INTO public.crm_deal_stage_history (
        organization_id, deal_id, seq, pipeline_id, from_stage, stage, entered_at, amount, owner_id, user_id)
    SELECT deal.organization_id, deal.id, nextval('public.crm_activities_seq'), deal.pipeline_id, before.stage, deal.stage,
           moment, deal.amount, deal.owner_id, app.user_id()
      FROM newtab AS deal
      JOIN oldtab AS before USING (organization_id, id)
     WHERE (deal.pipeline_id, deal.stage) <> (before.pipeline_id, before.stage);
    RETURN NULL;
END
$$;

CREATE TRIGGER track_stage_insert AFTER INSERT ON crm_deals
    REFERENCING NEW TABLE AS newtab FOR EACH STATEMENT EXECUTE FUNCTION app.track_deal_stage();
CREATE TRIGGER track_stage_update AFTER UPDATE ON crm_deals
    REFERENCING OLD TABLE AS oldtab NEW TABLE AS newtab FOR EACH STATEMENT EXECUTE FUNCTION app.track_deal_stage();

-- ---------------------------------------------------------------- contacts of a deal

CREATE TABLE crm_deal_contacts (
    organization_id uuid        NOT NULL DEFAULT app.org_id(),
    id              uuid        NOT NULL DEFAULT app.uuid7(),
    deal_id         uuid        NOT NULL,
    contact_id      uuid        NOT NULL,
    role            varchar(100),
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    version         integer     NOT NULL DEFAULT 1,
    CONSTRAINT crm_deal_contacts_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT crm_deal_contacts_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations (id),
    CONSTRAINT crm_deal_contacts_deal_id_fkey FOREIGN KEY (organization_id, deal_id)
        REFERENCES crm_deals (organization_id, id),
    CONSTRAINT crm_deal_contacts_contact_id_fkey FOREIGN KEY (organization_id, contact_id)
        REFERENCES crm_contacts (organization_id, id)
);
CREATE UNIQUE INDEX crm_deal_contacts_once ON crm_deal_contacts (organization_id, deal_id, contact_id);
CREATE INDEX crm_deal_contacts_contact ON crm_deal_contacts (organization_id, contact_id, deal_id);

CREATE FUNCTION app.guard_deal_contact() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM app.require_parent(NEW.organization_id, TG_TABLE_NAME, 'public.crm_contacts', NEW.contact_id, 'contact_id');
    RETURN NEW;
END
$$;

CREATE TRIGGER guard_20_child BEFORE INSERT OR UPDATE OR DELETE ON crm_deal_contacts
    FOR EACH ROW EXECUTE FUNCTION app.guard_child('crm_deals', 'deal_id');
CREATE TRIGGER guard_30_contact BEFORE INSERT ON crm_deal_contacts
    FOR EACH ROW EXECUTE FUNCTION app.guard_deal_contact();

SELECT app.secure_table('crm_deal_contacts', 'member', deletable => true);
SELECT app.install_tracking(
    'crm_deal_contacts', 'deal_contact', $$coalesce(r.role, '')$$, subject_type => '''deal''', subject_id => 'r.deal_id');
GRANT SELECT, DELETE, INSERT (id, deal_id, contact_id, role), UPDATE (role) ON crm_deal_contacts TO crm_app;

SELECT app.seal_functions();
