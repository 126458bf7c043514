-- Deals follow the rates of the day organisation by organisation, each in steps of its own.
--
-- What must stay true:
--   * A step is about one organisation: what fails there holds up no other one.
--   * Two programs are never at one organisation in the same moment, and neither waits for the other: the second goes on to the next one.
--   * Housekeeping waits for nobody who is writing a deal; what it leaves is behind, and is seen the next time. Whoever sets a rate waits.
--   * A step locks deals once, by id, as everybody locks many deals: those of all currencies together.
--   * What a step reads is what it changes: what is behind are ranges of crm_deals_open_rate, however many deals have followed already.

DROP FUNCTION app.follow_all_rates(integer);
DROP FUNCTION app.follow_rates_of(uuid, integer);

-- Brings up to `p_limit` deals of an organisation to the rate that is theirs now, and says how many. What is behind is seen in the deals
-- themselves: whoever dies between two steps leaves nothing to be remembered. 0: none is behind, or, with SKIP LOCKED for `p_held`, none
-- that nobody holds.
CREATE FUNCTION app.follow_rates_of(org uuid, p_limit integer, p_held text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    today        date := app.organization_today(org);
    own_currency text;
    code         text := '';
    newest       record;
    oldest       date;
    behind       uuid[];
    done         integer;
    -- What is behind, and where each is to come to: an open deal to the rate of a day, a closed one to that of its own day.
    ids          uuid[] := '{}';
    codes        text[] := '{}';
    rates        numeric[] := '{}';
    days         date[] := '{}';
    opens        boolean[] := '{}';
BEGIN
    IF p_held NOT IN ('', 'SKIP LOCKED') THEN
        RAISE EXCEPTION 'what is held is waited for or left' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT default_currency INTO own_currency FROM public.organizations WHERE id = org;
    LOOP
        -- From currency to currency through the index: there are few, and many deals of each.
        SELECT currency INTO code
          FROM public.crm_deals
         WHERE organization_id = org AND deleted_at IS NULL AND currency > code
         ORDER BY organization_id, currency
         LIMIT 1;
        EXIT WHEN code IS NULL OR cardinality(ids) >= p_limit;
        CONTINUE WHEN code = own_currency;

        SELECT rate, valid_on INTO newest
          FROM public.crm_exchange_rates
         WHERE organization_id = org AND currency = code AND valid_on <= today
         ORDER BY valid_on DESC
         LIMIT 1;
        -- Each part is a range of the index, in its order. One condition for all of them would be a look at every open deal.
        behind := ARRAY(
            (SELECT id FROM public.crm_deals
              WHERE organization_id = org AND currency = code AND deleted_at IS NULL AND actual_close_date IS NULL
                AND base_rate_on IS NULL AND (newest.valid_on IS NOT NULL OR base_rate IS NOT NULL)
              ORDER BY organization_id, currency, base_rate_on, base_rate, id LIMIT p_limit - cardinality(ids))
            UNION ALL
            (SELECT id FROM public.crm_deals
              WHERE organization_id = org AND currency = code AND deleted_at IS NULL AND actual_close_date IS NULL
                AND base_rate_on IS NOT NULL AND newest.valid_on IS NULL
              ORDER BY organization_id, currency, base_rate_on, base_rate, id LIMIT p_limit - cardinality(ids))
            UNION ALL
            (SELECT id FROM public.crm_deals
              WHERE organization_id = org AND currency = code AND deleted_at IS NULL AND actual_close_date IS NULL
                AND base_rate_on < newest.valid_on
              ORDER BY organization_id, currency, base_rate_on, base_rate, id LIMIT p_limit - cardinality(ids))
            UNION ALL
            (SELECT id FROM public.crm_deals
              WHERE organization_id = org AND currency = code AND deleted_at IS NULL AND actual_close_date IS NULL
                AND base_rate_on > newest.valid_on
              ORDER BY organization_id, currency, base_rate_on, base_rate, id LIMIT p_limit - cardinality(ids))
            UNION ALL
            (SELECT id FROM public.crm_deals
              WHERE organization_id = org AND currency = code AND deleted_at IS NULL AND actual_close_date IS NULL
                AND base_rate_on = newest.valid_on AND base_rate < newest.rate
              ORDER BY organization_id, currency, base_rate_on, base_rate, id LIMIT p_limit - cardinality(ids))
            UNION ALL
            (SELECT id FROM public.crm_deals
              WHERE organization_id = org AND currency = code AND deleted_at IS NULL AND actual_close_date IS NULL
                AND base_rate_on = newest.valid_on AND base_rate > newest.rate
              ORDER BY organization_id, currency, base_rate_on, base_rate, id LIMIT p_limit - cardinality(ids))
            LIMIT p_limit - cardinality(ids));
        ids := ids || behind;
        codes := codes || array_fill(code, ARRAY[cardinality(behind)]);
        rates := rates || array_fill(newest.rate::numeric, ARRAY[cardinality(behind)]);
        days := days || array_fill(newest.valid_on::date, ARRAY[cardinality(behind)]);
        opens := opens || array_fill(true, ARRAY[cardinality(behind)]);

        SELECT min(valid_on) INTO oldest FROM public.crm_exchange_rates WHERE organization_id = org AND currency = code;
        behind := ARRAY(
            SELECT id FROM public.crm_deals
             WHERE organization_id = org AND currency = code AND deleted_at IS NULL
               AND base_rate IS NULL AND actual_close_date IS NOT NULL AND actual_close_date >= oldest
             ORDER BY organization_id, currency, actual_close_date, id
             LIMIT p_limit - cardinality(ids));
        ids := ids || behind;
        codes := codes || array_fill(code, ARRAY[cardinality(behind)]);
        rates := rates || array_fill(NULL::numeric, ARRAY[cardinality(behind)]);
        days := days || array_fill(oldest, ARRAY[cardinality(behind)]);
        opens := opens || array_fill(false, ARRAY[cardinality(behind)]);
    END LOOP;
    IF ids = '{}' THEN
        RETURN 0;
    END IF;
    -- What was changed since it was seen is judged anew.
    EXECUTE format(
        'WITH held AS (
             SELECT deal.id, wanted.rate, wanted.valid_on, wanted.is_open
               FROM unnest($2, $3, $4, $5, $6) AS wanted (id, currency, rate, valid_on, is_open)
               JOIN public.crm_deals AS deal ON deal.organization_id = $1 AND deal.id = wanted.id
              WHERE deal.currency = wanted.currency AND deal.deleted_at IS NULL
                AND CASE WHEN wanted.is_open
                         THEN deal.actual_close_date IS NULL
                              AND ROW(deal.base_rate, deal.base_rate_on) IS DISTINCT FROM ROW(wanted.rate, wanted.valid_on)
                         ELSE deal.base_rate IS NULL AND deal.actual_close_date >= wanted.valid_on
                    END
              ORDER BY deal.id
                FOR NO KEY UPDATE OF deal %s
         )
         UPDATE public.crm_deals AS deal
            SET base_rate = CASE WHEN held.is_open THEN held.rate ELSE deal.base_rate END,
                base_rate_on = CASE WHEN held.is_open THEN held.valid_on ELSE deal.actual_close_date END
           FROM held
          WHERE deal.organization_id = $1 AND deal.id = held.id', p_held)
      USING org, ids, codes, rates, days, opens;
    GET DIAGNOSTICS done = ROW_COUNT;
    RETURN done;
END
$$;

-- Of the caller's organisation, behind a rate that was set or taken away. The rates themselves only a manager may write.
CREATE OR REPLACE FUNCTION app.follow_exchange_rates(p_limit integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF NOT coalesce(app.is_manager(), false) THEN
        RAISE EXCEPTION 'only an owner or an admin may do this'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'manager_only';
    END IF;
    RETURN app.follow_rates_of(app.org_id(), p_limit, '');
END
$$;

-- Which organisations there are behind this one, in the order in which a program goes through them.
CREATE FUNCTION app.organizations_behind(p_id uuid, p_limit integer) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$ SELECT id FROM public.organizations WHERE deleted_at IS NULL AND id > p_id ORDER BY id LIMIT p_limit $$;
GRANT EXECUTE ON FUNCTION app.organizations_behind(uuid, integer) TO crm_app;

-- One step of one organisation: where a day began with another rate, and where somebody who set one did not come to the end. NULL: another
-- program is at it.
CREATE FUNCTION app.follow_organization_rates(p_org uuid, p_limit integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('app.follow_organization_rates'), hashtext(p_org::text)) THEN
        RETURN NULL;
    END IF;
    RETURN app.follow_rates_of(p_org, p_limit, 'SKIP LOCKED');
END
$$;
GRANT EXECUTE ON FUNCTION app.follow_organization_rates(uuid, integer) TO crm_app;

-- As before, without the rates: organisation by organisation is not a chore of the database's.
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

SELECT app.seal_functions();
