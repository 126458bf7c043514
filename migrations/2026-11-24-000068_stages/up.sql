-- A stage that goes takes no deals along: they are moved first, those in the bin too. And deals say since when they have stood too long in
-- their stage, so that what rots is one question.
--
-- What must stay true:
--   * A deleted record is not changed, but for this: owner and admin may lead a deal in the bin to another stage, and change nothing else of
--     it. Its stage is a foreign key, and without that a stage could not go for as long as the bin is kept, which may be for ever.
--   * stage_entered_at of a deal is when the stay that it is in began, the same moment as in crm_deal_stage_history. The guard here alone
--     writes it.
--   * rots_at of an open deal is that moment plus the days that its stage gives now; NULL where the stage gives none. It is kept nowhere:
--     new days of a stage write that stage alone, and hold up nobody who moves a card.

-- Whether nothing but the stage of a deal is another, and what follows from it.
CREATE FUNCTION app.is_led_elsewhere(p_relation oid, p_old jsonb, p_new jsonb) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    led text[] := ARRAY['pipeline_id', 'stage', 'probability', 'board_position', 'version', 'updated_at'];
BEGIN
    IF p_relation <> 'public.crm_deals'::regclass OR NOT coalesce(app.is_manager(), false)
       OR (p_old -> 'pipeline_id', p_old -> 'stage') = (p_new -> 'pipeline_id', p_new -> 'stage')
    THEN
        RETURN false;
    END IF;
    -- What the table makes of other columns is not made yet.
    led := led || ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = p_relation AND attgenerated <> '');
    RETURN p_old - led = p_new - led;
END
$$;

-- As before, and deals in the bin are led elsewhere.
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

    ELSIF OLD.deleted_at IS NOT NULL AND NOT app.is_led_elsewhere(TG_RELID, to_jsonb(OLD), to_jsonb(NEW)) THEN
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

-- As before, and a deal that stays in the bin keeps its rate and what it comes to at it.
CREATE OR REPLACE FUNCTION app.guard_deal() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    is_new       boolean := TG_OP = 'INSERT';
    outcome      text;
    old_outcome  text;
    own_currency text;
    found_rate   record;
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

    SELECT default_currency INTO own_currency FROM public.organizations WHERE id = NEW.organization_id;
    IF NOT is_new THEN
        old_outcome := CASE
            WHEN NEW.pipeline_id = OLD.pipeline_id AND NEW.stage = OLD.stage THEN outcome
            ELSE app.stage_outcome(OLD.organization_id, OLD.pipeline_id, OLD.stage)
        END;
        -- In the bin a deal is led elsewhere, and counts what it counted.
        IF OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS NOT NULL THEN
            NEW.base_rate := OLD.base_rate;
            NEW.base_rate_on := OLD.base_rate_on;
            NEW.base_amount := OLD.base_amount;
            RETURN NEW;
        END IF;
        -- Only app.follow_rates_of can write these columns: it asks for another look. So does coming back from the bin.
        IF ROW(NEW.amount, NEW.currency, NEW.pipeline_id, NEW.stage, NEW.base_rate, NEW.base_rate_on)
           IS NOT DISTINCT FROM ROW(OLD.amount, OLD.currency, OLD.pipeline_id, OLD.stage, OLD.base_rate, OLD.base_rate_on)
           AND NOT (OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS NULL)
        THEN
            NEW.base_amount := OLD.base_amount;
            RETURN NEW;
        END IF;
        -- The rate of a closed deal is frozen, so last year's sums stay as they were; a corrected amount is counted at
        -- the same rate. In another currency that rate would mean nothing.
        IF old_outcome <> 'open' AND outcome <> 'open' AND NEW.currency = OLD.currency AND OLD.base_rate IS NOT NULL THEN
            NEW.base_rate := OLD.base_rate;
            NEW.base_rate_on := OLD.base_rate_on;
            NEW.base_amount := app.converted(NEW.amount, OLD.base_rate, own_currency);
            RETURN NEW;
        END IF;
    END IF;

    IF NEW.currency = own_currency THEN
        NEW.base_amount := NEW.amount;
        NEW.base_rate := 1;
        NEW.base_rate_on := NULL;
        RETURN NEW;
    END IF;
    SELECT rate, valid_on
      INTO found_rate
      FROM public.crm_exchange_rates
     WHERE organization_id = NEW.organization_id
       AND currency = NEW.currency
       AND valid_on <= coalesce(NEW.actual_close_date, app.organization_today(NEW.organization_id))
     ORDER BY valid_on DESC
     LIMIT 1;
    NEW.base_rate := found_rate.rate;
    NEW.base_rate_on := found_rate.valid_on;
    NEW.base_amount := app.converted(NEW.amount, found_rate.rate, own_currency);
    RETURN NEW;
END
$$;

-- ---------------------------------------------------------------- deals that rot

ALTER TABLE crm_deals ADD COLUMN stage_entered_at timestamptz NOT NULL DEFAULT now(); -- the default where the guard sleeps
ALTER TABLE crm_deals DISABLE TRIGGER USER;
UPDATE crm_deals AS deal
   SET stage_entered_at = stay.entered_at
  FROM crm_deal_stage_history AS stay
 WHERE stay.organization_id = deal.organization_id AND stay.deal_id = deal.id AND stay.left_at IS NULL;
ALTER TABLE crm_deals ENABLE TRIGGER USER;
-- In the order of lists and with what rots_at is made of: what rots is found among the open deals, however many are closed.
CREATE INDEX crm_deals_open ON crm_deals (organization_id, id) INCLUDE (pipeline_id, stage, stage_entered_at)
    WHERE deleted_at IS NULL AND actual_close_date IS NULL;
-- The log tells the step; that it was made when it was logged need not be said twice.
SELECT app.install_tracking('crm_deals', 'deal', 'r.name', status_column => 'stage', hidden => ARRAY['stage_entered_at']);

CREATE FUNCTION app.enter_stage() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        -- An imported deal (the only kind not created now) has stood in its stage since it was closed, or else since it was created.
        NEW.stage_entered_at := NEW.created_at;
        IF NEW.created_at < now() AND NEW.actual_close_date IS NOT NULL THEN
            NEW.stage_entered_at := NEW.actual_close_date::timestamp AT TIME ZONE 'UTC';
        END IF;
    ELSIF (NEW.pipeline_id, NEW.stage) <> (OLD.pipeline_id, OLD.stage) THEN
        -- The clock's moment, after the row was waited for: with the transaction's, a stay could end before it began.
        NEW.stage_entered_at := greatest(clock_timestamp(), OLD.stage_entered_at);
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER guard_40_entry BEFORE INSERT OR UPDATE OF pipeline_id, stage ON crm_deals
    FOR EACH ROW EXECUTE FUNCTION app.enter_stage();

-- As before, and a stay begins and ends when the deal says.
CREATE OR REPLACE FUNCTION app.track_deal_stage() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO public.crm_deal_stage_history (
            organization_id, deal_id, seq, pipeline_id, stage, entered_at, amount, owner_id, user_id)
        SELECT organization_id, id, nextval('public.crm_activities_seq'), pipeline_id, stage, stage_entered_at, amount, owner_id, app.user_id()
          FROM newtab;
        RETURN NULL;
    END IF;

    UPDATE public.crm_deal_stage_history AS history
       SET left_at = greatest(deal.stage_entered_at, history.entered_at), next_stage = deal.stage
      FROM newtab AS deal
      JOIN oldtab AS before USING (organization_id, id)
     WHERE (deal.pipeline_id, deal.stage) <> (before.pipeline_id, before.stage)
       AND history.organization_id = deal.organization_id
       AND history.deal_id = deal.id
       AND history.left_at IS NULL;

    INSERT INTO public.crm_deal_stage_history (
        organization_id, deal_id, seq, pipeline_id, from_stage, stage, entered_at, amount, owner_id, user_id)
    SELECT deal.organization_id, deal.id, nextval('public.crm_activities_seq'), deal.pipeline_id, before.stage, deal.stage,
           deal.stage_entered_at, deal.amount, deal.owner_id, app.user_id()
      FROM newtab AS deal
      JOIN oldtab AS before USING (organization_id, id)
     WHERE (deal.pipeline_id, deal.stage) <> (before.pipeline_id, before.stage);
    RETURN NULL;
END
$$;

-- As before, and deals with the moment from which they rot. The stage is joined by its whole key: a question without rots_at looks no stage
-- up, and one that counts reads deals alone. A day is 24 hours, whatever the session's time zone.
CREATE OR REPLACE FUNCTION app.install_query_view(target regclass, view_name text) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    entity text := (
        SELECT encode(trim(TRAILING '\x00'::bytea FROM tgargs), 'escape')
          FROM pg_trigger
         WHERE tgrelid = target AND tgname = 'keep_times_insert');
    rotting  text := '';
    of_stage text := '';
BEGIN
    IF entity = 'deal' THEN
        rotting := ', record.stage_entered_at + stage.rotting_days * interval ''24 hours'' AS rots_at';
        of_stage := 'LEFT JOIN crm_pipeline_stages AS stage
                     ON (stage.organization_id, stage.pipeline_id, stage.key) = (record.organization_id, record.pipeline_id, record.stage)
                    AND record.actual_close_date IS NULL AND stage.rotting_days IS NOT NULL';
    END IF;
    EXECUTE format('DROP VIEW IF EXISTS public.%I', view_name);
    IF entity IS NULL THEN
        EXECUTE format(
            'CREATE VIEW public.%I AS SELECT * FROM %s WHERE organization_id = app.org_id() AND app.role() IS NOT NULL',
            view_name, target);
    ELSE
        EXECUTE format(
            'CREATE VIEW public.%1$I AS
             SELECT record.*,
                    coalesce((SELECT last_activity_at
                                FROM crm_record_times
                               WHERE organization_id = record.organization_id AND entity = %3$L AND record_id = record.id),
                             record.updated_at) AS last_activity_at,
                    times.updated_at AS updated_at_key, times.last_activity_at AS last_activity_key, times.in_bin%4$s
               FROM %2$s AS record
               LEFT JOIN crm_record_times AS times
                 ON times.organization_id = record.organization_id
                AND times.entity = %3$L
                AND times.record_id = record.id
               %5$s
              WHERE record.organization_id = app.org_id() AND app.role() IS NOT NULL',
            view_name, target, entity, rotting, of_stage);
    END IF;
    EXECUTE format('ALTER VIEW public.%I OWNER TO crm_definer', view_name);
    EXECUTE format('GRANT SELECT ON public.%I TO crm_app', view_name);
END
$$;
SELECT app.install_query_view('crm_deals', 'q_deals');

SELECT app.seal_functions();
