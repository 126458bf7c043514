-- What other currencies are worth in the organisation's, by day, and what deals in them come to. ADR 0049.
--
-- What must stay true:
--   * An open deal is counted at the newest rate that is not later than today, a closed one at the newest that was not later than the day it
--     was closed, as it stood when it was closed.
--   * A closed deal that found no rate gets one when there is one for its day, and keeps it from then on.
--   * crm_deals.base_amount is the guard's to set, whoever writes: app.follow_rates_of only says which deals are to be looked at.

CREATE TABLE crm_exchange_rates (
    organization_id uuid          NOT NULL DEFAULT app.org_id(),
    id              uuid          NOT NULL DEFAULT app.uuid7(),
    currency        varchar(3)    NOT NULL,
    valid_on        date          NOT NULL,
    rate            numeric(18,8) NOT NULL, -- what one of `currency` is worth in the organisation's
    set_by_id       uuid                   DEFAULT app.user_id(),
    created_at      timestamptz   NOT NULL DEFAULT now(),
    updated_at      timestamptz   NOT NULL DEFAULT now(),
    version         integer       NOT NULL DEFAULT 1,
    CONSTRAINT crm_exchange_rates_pkey PRIMARY KEY (organization_id, currency, valid_on),
    CONSTRAINT crm_exchange_rates_currency_format CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT crm_exchange_rates_valid_on_range CHECK (valid_on BETWEEN '1900-01-01' AND '2999-12-31'),
    CONSTRAINT crm_exchange_rates_rate_range CHECK (rate > 0),
    CONSTRAINT crm_exchange_rates_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations (id),
    CONSTRAINT crm_exchange_rates_set_by_id_fkey FOREIGN KEY (organization_id, set_by_id)
        REFERENCES memberships (organization_id, user_id)
);
CREATE UNIQUE INDEX crm_exchange_rates_id ON crm_exchange_rates (organization_id, id);
CREATE INDEX crm_exchange_rates_currency  ON crm_exchange_rates (organization_id, currency, id);
CREATE INDEX crm_exchange_rates_valid_on  ON crm_exchange_rates (organization_id, valid_on, id);

-- ---------------------------------------------------------------- guards

CREATE FUNCTION app.guard_exchange_rate() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    own_currency text;
BEGIN
    -- Waits for every amount that is being written (app.guard_deal_currency), so that whoever writes one afterwards sees this rate.
    SELECT default_currency INTO own_currency FROM public.organizations WHERE id = NEW.organization_id FOR UPDATE;
    IF NEW.currency = own_currency THEN
        RAISE EXCEPTION 'the organisation''s own currency has no rate'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'own_currency', COLUMN = 'currency', TABLE = TG_TABLE_NAME;
    END IF;
    NEW.set_by_id := app.user_id();
    RETURN NEW;
END
$$;
CREATE TRIGGER guard_20_rate BEFORE INSERT OR UPDATE ON crm_exchange_rates
    FOR EACH ROW EXECUTE FUNCTION app.guard_exchange_rate();

CREATE FUNCTION app.guard_rates_currency() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM FROM public.organizations WHERE id = NEW.id FOR UPDATE;
    IF EXISTS (SELECT FROM public.crm_exchange_rates WHERE organization_id = NEW.id) THEN
        RAISE EXCEPTION 'exchange rates lead to this currency'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'currency_in_use', COLUMN = 'default_currency', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER guard_40_rates BEFORE UPDATE ON organizations
    FOR EACH ROW WHEN (NEW.default_currency <> OLD.default_currency) EXECUTE FUNCTION app.guard_rates_currency();

SELECT app.secure_table('crm_exchange_rates', 'manager', deletable => true);
SELECT app.install_tracking('crm_exchange_rates', 'exchange_rate', $$r.currency || ' ' || to_char(r.valid_on::timestamp, 'YYYY-MM-DD')$$);
SELECT app.install_query_view('crm_exchange_rates', 'q_exchange_rates');
GRANT SELECT, DELETE, INSERT (currency, valid_on, rate), UPDATE (rate) ON crm_exchange_rates TO crm_app;

-- ---------------------------------------------------------------- deals

ALTER TABLE crm_deals ADD COLUMN base_rate_on date; -- the day of base_rate; NULL: the organisation's own currency, or no rate
SELECT app.install_tracking('crm_deals', 'deal', 'r.name', status_column => 'stage');
SELECT app.install_query_view('crm_deals', 'q_deals');

-- What app.follow_rates_of looks for: open deals by the rate they are counted at, and deals without one.
CREATE INDEX crm_deals_open_rate ON crm_deals (organization_id, currency, base_rate_on, base_rate, id)
    WHERE deleted_at IS NULL AND actual_close_date IS NULL;
CREATE INDEX crm_deals_without_rate ON crm_deals (organization_id, currency, actual_close_date, id)
    WHERE deleted_at IS NULL AND base_rate IS NULL AND actual_close_date IS NOT NULL;

-- Digits after the point, ISO 4217; crm_kernel::currency says the same, and a test compares.
CREATE FUNCTION app.currency_digits(code text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
SELECT CASE
    WHEN code IN ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'UYI', 'VND', 'VUV', 'XAF', 'XOF', 'XPF') THEN 0
    WHEN code IN ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') THEN 3
    ELSE 2
END
$$;

-- Half up, as lines of a deal are rounded. What does not fit a sum has none.
CREATE FUNCTION app.converted(amount numeric, rate numeric, code text) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
SELECT CASE WHEN amount * rate < 999999999999999 THEN round(amount * rate, app.currency_digits(code)) END
$$;

CREATE FUNCTION app.organization_today(p_org uuid) RETURNS date
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$ SELECT (now() AT TIME ZONE time_zone)::date FROM public.organizations WHERE id = p_org $$;

-- As before, and in another currency at its rate.
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

-- Brings up to `p_limit` deals of an organisation to the rate that is theirs now, and says how many. What is behind is seen in the deals
-- themselves: whoever dies between two steps leaves nothing to be remembered. 0: none is behind.
CREATE FUNCTION app.follow_rates_of(org uuid, p_limit integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    today        date := app.organization_today(org);
    own_currency text;
    code         text := '';
    newest       record;
    oldest       date;
    done         integer;
    total        integer := 0;
BEGIN
    SELECT default_currency INTO own_currency FROM public.organizations WHERE id = org;
    LOOP
        -- From currency to currency through the index: there are few, and many deals of each.
        SELECT currency INTO code
          FROM public.crm_deals
         WHERE organization_id = org AND deleted_at IS NULL AND currency > code
         ORDER BY organization_id, currency
         LIMIT 1;
        EXIT WHEN code IS NULL OR total >= p_limit;
        CONTINUE WHEN code = own_currency;

        SELECT rate, valid_on INTO newest
          FROM public.crm_exchange_rates
         WHERE organization_id = org AND currency = code AND valid_on <= today
         ORDER BY valid_on DESC
         LIMIT 1;
        WITH behind AS (
            SELECT id
              FROM public.crm_deals
             WHERE organization_id = org AND currency = code AND deleted_at IS NULL AND actual_close_date IS NULL
               AND ROW(base_rate, base_rate_on) IS DISTINCT FROM ROW(newest.rate, newest.valid_on)
             ORDER BY id
             LIMIT p_limit - total
               FOR NO KEY UPDATE
        )
        UPDATE public.crm_deals AS deal
           SET base_rate = newest.rate, base_rate_on = newest.valid_on
          FROM behind
         WHERE deal.organization_id = org AND deal.id = behind.id;
        GET DIAGNOSTICS done = ROW_COUNT;
        total := total + done;

        SELECT min(valid_on) INTO oldest FROM public.crm_exchange_rates WHERE organization_id = org AND currency = code;
        WITH behind AS (
            SELECT id
              FROM public.crm_deals
             WHERE organization_id = org AND currency = code AND deleted_at IS NULL
               AND base_rate IS NULL AND actual_close_date IS NOT NULL AND actual_close_date >= oldest
             ORDER BY id
             LIMIT p_limit - total
               FOR NO KEY UPDATE
        )
        UPDATE public.crm_deals AS deal
           SET base_rate_on = deal.actual_close_date
          FROM behind
         WHERE deal.organization_id = org AND deal.id = behind.id;
        GET DIAGNOSTICS done = ROW_COUNT;
        total := total + done;
    END LOOP;
    RETURN total;
END
$$;

-- Of the caller's organisation, behind a rate that was set or taken away. The rates themselves only a manager may write.
CREATE FUNCTION app.follow_exchange_rates(p_limit integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF NOT coalesce(app.is_manager(), false) THEN
        RAISE EXCEPTION 'only an owner or an admin may do this'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'manager_only';
    END IF;
    RETURN app.follow_rates_of(app.org_id(), p_limit);
END
$$;
GRANT EXECUTE ON FUNCTION app.follow_exchange_rates(integer) TO crm_app;

-- Of all organisations: where a day began with another rate, and where somebody who set one did not come to the end.
CREATE FUNCTION app.follow_all_rates(p_limit integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    total bigint := 0;
    org   uuid;
BEGIN
    FOR org IN SELECT id FROM public.organizations WHERE deleted_at IS NULL ORDER BY id LOOP
        total := total + app.follow_rates_of(org, (p_limit - total)::integer);
        EXIT WHEN total >= p_limit;
    END LOOP;
    RETURN total;
END
$$;

-- As before, and with a chore more.
CREATE OR REPLACE FUNCTION app.housekeeping_chores() RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT chore
      FROM (SELECT chore, 2 AS turn, row_number() OVER () AS place FROM app.outdated_rows()
             UNION ALL
            VALUES ('partitions', 1, 1), ('bins', 1, 2), ('activity_addresses', 1, 3), ('session_addresses', 1, 4),
                   ('exchange_rates', 1, 5)) AS all_chores
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
        WHEN 'exchange_rates' THEN RETURN app.follow_all_rates(p_limit);
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

GRANT UPDATE (base_rate, base_rate_on) ON crm_deals TO crm_definer;

SELECT app.seal_functions();
