-- Takes the rates away, and with them what deals in other currencies come to. What the log says of them stays.

CREATE OR REPLACE FUNCTION app.guard_deal() RETURNS trigger
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
        NEW.base_amount := NULL;  -- no rates are known
        NEW.base_rate := NULL;
    END IF;
    RETURN NEW;
END
$$;

-- Figures follow by their trigger; versions stay as they are, and the log says nothing: tracking is taken off first.
SELECT app.remove_tracking('crm_deals');
ALTER TABLE crm_deals DISABLE TRIGGER guard_10_record, DISABLE TRIGGER guard_20_deal;
UPDATE crm_deals SET base_amount = NULL, base_rate = NULL WHERE base_rate_on IS NOT NULL;
ALTER TABLE crm_deals ENABLE TRIGGER guard_10_record, ENABLE TRIGGER guard_20_deal;

REVOKE UPDATE (base_rate, base_rate_on) ON crm_deals FROM crm_definer;
CREATE OR REPLACE FUNCTION app.housekeeping_chores() RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT chore
      FROM (SELECT chore, 2 AS turn, row_number() OVER () AS place FROM app.outdated_rows()
             UNION ALL
            VALUES ('partitions', 1, 1), ('bins', 1, 2), ('activity_addresses', 1, 3), ('session_addresses', 1, 4)) AS all_chores
     ORDER BY turn, place
$$;

CREATE OR REPLACE FUNCTION app.housekeeping(p_chore text, p_limit integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    outdated record;
    done     bigint;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('app.housekeeping')) THEN
        RETURN 0;
    END IF;
    CASE p_chore
        WHEN 'partitions' THEN
            -- A new partition waits for all who write the log, and they for it: not for long, there are months of time.
            SET LOCAL lock_timeout = '300ms';
            RETURN app.ensure_activity_partitions();
        WHEN 'bins' THEN RETURN app.purge_bins(p_limit);
        WHEN 'activity_addresses' THEN RETURN app.empty_activity_addresses(p_limit);
        WHEN 'session_addresses' THEN RETURN app.empty_session_addresses(p_limit);
        ELSE NULL;
    END CASE;

    SELECT * INTO STRICT outdated FROM app.outdated_rows() AS known WHERE known.chore = p_chore;
    -- What somebody is at stays for another time: nobody waits for housekeeping, and it waits for nobody.
    EXECUTE format(
        'DELETE FROM %1$s AS outdated
          WHERE %2$I IN (SELECT outdated.%2$I FROM %1$s AS outdated WHERE %3$s LIMIT $1 FOR UPDATE SKIP LOCKED) AND (%3$s)',
        outdated.table_name, outdated.key_column, outdated.condition)
      USING p_limit;
    GET DIAGNOSTICS done = ROW_COUNT;
    RETURN done;
END
$$;

DROP FUNCTION app.follow_all_rates(integer);
DROP FUNCTION app.follow_exchange_rates(integer);
DROP FUNCTION app.follow_rates_of(uuid, integer);
DROP FUNCTION app.organization_today(uuid);
DROP FUNCTION app.converted(numeric, numeric, text);
DROP FUNCTION app.currency_digits(text);
DROP INDEX crm_deals_without_rate;
DROP INDEX crm_deals_open_rate;
DROP VIEW q_deals;
ALTER TABLE crm_deals DROP COLUMN base_rate_on;
SELECT app.install_tracking('crm_deals', 'deal', 'r.name', status_column => 'stage');
SELECT app.install_query_view('crm_deals', 'q_deals');

SELECT app.remove_tracking('crm_exchange_rates');
DROP VIEW q_exchange_rates;
DROP TABLE crm_exchange_rates;
DROP FUNCTION app.guard_exchange_rate();
DROP TRIGGER guard_40_rates ON organizations;
DROP FUNCTION app.guard_rates_currency();
SELECT app.seal_functions();
