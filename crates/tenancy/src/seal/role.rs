//! The role the application logs in as, and its session.

/// What the role could do that it must not be able to.
pub(super) const ROLE_FAULTS: &str = "
    WITH me AS (
        SELECT * FROM pg_roles WHERE rolname = current_user
    ), faults AS (
        SELECT fault.reason
          FROM me
         CROSS JOIN LATERAL (VALUES
            (me.rolsuper, 'is a superuser: row-level security does not bind it'),
            (me.rolbypassrls, 'may bypass row-level security'),
            (me.rolcreaterole, 'may create roles'),
            (has_database_privilege(current_database(), 'TEMPORARY'),
             'may create temporary objects, through which a function could look behind the views'),
            (has_database_privilege(current_database(), 'CREATE'),
             'may create schemas in this database, and in them functions, which could look behind the views'),
            (EXISTS (SELECT FROM pg_class WHERE relowner = me.oid), 'owns tables, and an owner may change their policies'),
            (EXISTS (SELECT FROM pg_largeobject_metadata WHERE lomowner = me.oid),
             'owns large objects, which belong to no organisation and which no policy binds'),
            (current_setting('session_replication_role') <> 'origin',
             'has sessions with session_replication_role other than origin: guards and tracking would not fire'),
            (has_parameter_privilege('session_replication_role', 'SET'),
             'may set session_replication_role, and so switch guards and tracking off')
         ) AS fault (found, reason)
         WHERE fault.found
        UNION ALL
        SELECT format('is a member of %I: it can do whatever that role can', pg_get_userbyid(roleid))
          FROM me JOIN pg_auth_members ON member = me.oid
        UNION ALL
        SELECT format('may create functions in schema %I, which could look behind the views', nspname)
          FROM pg_namespace
         WHERE nspname !~ '^pg_(temp|toast)' AND has_schema_privilege(oid, 'CREATE')
        UNION ALL
        -- A setting of the role, of this database, or of the role in this database; rolconfig knows the first alone.
        SELECT DISTINCT 'is given session_replication_role when it logs in: guards and tracking might not fire'
          FROM me
          JOIN pg_db_role_setting ON setrole IN (0, me.oid)
                                 AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
         CROSS JOIN unnest(setconfig) AS setting
         WHERE setting LIKE 'session_replication_role=%' AND setting <> 'session_replication_role=origin'
    )
    SELECT current_user::text AS object, reason FROM faults";
