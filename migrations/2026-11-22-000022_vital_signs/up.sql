-- What whoever watches over the installation reads: open transactions, how far the feed is behind, letters that wait.
--
-- What must stay true: it tells numbers, never whose transactions or letters they are.

-- What other roles do is told to those with pg_read_all_stats alone: a transaction that somebody forgot in psql holds the feed back
-- and should be seen. Where the installer may not give it, the function tells of the application's transactions.
DO $$
BEGIN
    IF pg_has_role('crm_definer', 'pg_read_all_stats', 'USAGE') THEN
        RETURN;
    END IF;
    GRANT pg_read_all_stats TO crm_definer;
EXCEPTION
    WHEN insufficient_privilege OR unique_violation OR internal_error THEN
        RAISE NOTICE 'crm_definer may not read all statistics: app.vital_signs() sees few transactions but its own';
END
$$;

CREATE FUNCTION app.vital_signs(
    OUT open_transactions  bigint,
    OUT oldest_transaction double precision,
    OUT feed_horizon       double precision,
    OUT letters_waiting    bigint,
    OUT letters_overdue    double precision
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    SELECT count(*),
           coalesce(extract(epoch FROM clock_timestamp() - min(activity.xact_start)), 0),
           coalesce(extract(epoch FROM clock_timestamp()
                            - min(activity.xact_start) FILTER (WHERE activity.backend_xid IS NOT NULL)), 0)
      INTO open_transactions, oldest_transaction, feed_horizon
      FROM pg_stat_activity AS activity
     WHERE activity.datname = current_database()
       AND activity.xact_start IS NOT NULL
       AND activity.pid <> pg_backend_pid();
    SELECT count(*), coalesce(greatest(0, extract(epoch FROM clock_timestamp() - min(letter.due_at))), 0)
      INTO letters_waiting, letters_overdue
      FROM identity.letters AS letter
     WHERE letter.sent_at IS NULL
       AND letter.failed_at IS NULL;
END
$$;

SELECT app.seal_functions();
GRANT EXECUTE ON FUNCTION app.vital_signs() TO crm_app;
