-- As PostgreSQL has it: files of the server (lo_import, lo_export) are for nobody, large objects for everybody.
DO $$
DECLARE
    called text;
BEGIN
    FOR called IN
        SELECT oid::regprocedure::text
          FROM pg_proc
         WHERE pronamespace = 'pg_catalog'::regnamespace
           AND proname IN ('lo_creat', 'lo_create', 'lo_from_bytea', 'lo_put', 'lo_get', 'lo_open', 'lo_close', 'loread', 'lowrite',
                           'lo_lseek', 'lo_lseek64', 'lo_tell', 'lo_tell64', 'lo_truncate', 'lo_truncate64', 'lo_unlink')
    LOOP
        BEGIN
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO PUBLIC', called);
        EXCEPTION WHEN insufficient_privilege THEN
            NULL;
        END;
    END LOOP;
END
$$;
