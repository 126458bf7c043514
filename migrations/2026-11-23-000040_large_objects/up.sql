-- Nobody keeps large objects: they belong to a role and to no organisation, so that no policy binds them.
--
-- What must stay true: whoever may not write a table of ours has no other place in this database to write to.
--
-- The functions are the server's own, and on a managed service nobody may take rights from them. There the right stays, the migration
-- says so, and the check at the start of the gateway looks for what was made with it.
DO $$
DECLARE
    called text;
BEGIN
    FOR called IN
        SELECT oid::regprocedure::text
          FROM pg_proc
         WHERE pronamespace = 'pg_catalog'::regnamespace
           AND proname IN ('lo_creat', 'lo_create', 'lo_from_bytea', 'lo_put', 'lo_get', 'lo_open', 'lo_close', 'loread', 'lowrite',
                           'lo_lseek', 'lo_lseek64', 'lo_tell', 'lo_tell64', 'lo_truncate', 'lo_truncate64', 'lo_unlink',
                           'lo_import', 'lo_export')
    LOOP
        BEGIN
            EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', called);
        EXCEPTION WHEN insufficient_privilege THEN
            NULL;
        END;
    END LOOP;
    IF has_function_privilege('crm_app', 'pg_catalog.lo_create(oid)', 'EXECUTE') THEN
        RAISE NOTICE 'crm_app may make large objects: a superuser can take that from PUBLIC';
    END IF;
END
$$;
