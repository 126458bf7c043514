DROP FUNCTION app.follow_organization_rates(uuid, integer);
DROP FUNCTION app.organizations_behind(uuid, integer);
DROP FUNCTION app.follow_rates_of(uuid, integer, text);

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
CREATE OR REPLACE FUNCTION app.follow_exchange_rates(p_limit integer) RETURNS integer
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

SELECT app.seal_functions();
