//! What the role may do with tables and views. Policies are not grants, and a few rights no policy binds.

/// Rights on tables that it must not have, on the whole table or on a column. Partitions are judged as their parent is.
pub(super) const TABLE_GRANTS: &str = "
    WITH tables AS (
        SELECT class.oid, namespace.nspname, class.relispartition,
               format('%I.%I', namespace.nspname, class.relname) AS name,
               (SELECT relname FROM pg_class WHERE oid = coalesce(pg_partition_root(class.oid), class.oid)) AS root
          FROM pg_class AS class
          JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
         WHERE class.relkind IN ('r', 'p', 'f')
           AND namespace.nspname !~ '^pg_' AND namespace.nspname <> 'information_schema'
           AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = class.oid AND deptype = 'e')
    ), held AS (
        SELECT tables.*, privilege
          FROM tables
         CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS privilege
         WHERE CASE WHEN privilege IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES')
                    THEN has_any_column_privilege(tables.oid, privilege)  -- true for a right on the whole table as well
                    ELSE has_table_privilege(tables.oid, privilege)
               END
    ), faults AS (
        SELECT name AS object,
               CASE
                   WHEN nspname <> 'public'
                   THEN format('the application may %s it, and outside public it may have no right on a table', privilege)
                   WHEN privilege IN ('TRUNCATE', 'TRIGGER')
                   THEN format('the application may %s it, which row-level security does not bind', privilege)
                   WHEN root IN ('crm_activities', 'crm_activity_details', 'crm_deal_stage_history', 'crm_deal_figures')
                        AND privilege IN ('INSERT', 'UPDATE', 'DELETE')
                   THEN format('the application may %s it, and only triggers write the log', privilege)
                   WHEN root IN ('users', '__diesel_schema_migrations') AND privilege IN ('INSERT', 'UPDATE', 'DELETE')
                   THEN format('the application may %s it, and it is no tenant''s to write', privilege)
                   WHEN root IN ('crm_activity_details', 'users') AND privilege = 'SELECT'
                   THEN 'the application may read it, and only views may show it what is in there'
                   WHEN relispartition AND privilege = 'SELECT'
                   THEN 'the application may read it, a partition, past its parent''s policies'
               END AS reason
          FROM held
    )
    SELECT object, reason FROM faults WHERE reason IS NOT NULL ORDER BY object, reason";

/// Views that show, or take, more than they must: a view runs with its owner's rights, and the owner sees every tenant.
pub(super) const VIEW_GRANTS: &str = r"
    WITH views AS (
        SELECT class.oid, class.relkind, format('%I.%I', namespace.nspname, class.relname) AS name,
               pg_get_viewdef(class.oid) AS definition
          FROM pg_class AS class
          JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
         WHERE class.relkind IN ('v', 'm')
           AND namespace.nspname !~ '^pg_' AND namespace.nspname <> 'information_schema'
           AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = class.oid AND deptype = 'e')
    ), faults AS (
        SELECT name AS object, 'the application may read it, and a materialized view is of every tenant' AS reason
          FROM views WHERE relkind = 'm' AND has_any_column_privilege(oid, 'SELECT')
        UNION ALL
        -- Its last condition binds the whole view, unless it is the last of several queries.
        SELECT name, 'the application may read it, and it does not end with the test of organisation and role'
          FROM views
         WHERE relkind = 'v' AND has_any_column_privilege(oid, 'SELECT')
           AND (definition !~ 'WHERE \(\((\w+\.)?organization_id = app\.org_id\(\)\) AND \(app\.role\(\) IS NOT NULL\)\);$'
                OR definition ~ '\m(UNION|INTERSECT|EXCEPT)\M')
        UNION ALL
        SELECT name, format('the application may %s through it, with the rights of its owner', privilege)
          FROM views CROSS JOIN unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRIGGER']) AS privilege
         WHERE CASE WHEN privilege IN ('INSERT', 'UPDATE')
                    THEN has_any_column_privilege(oid, privilege)
                    ELSE has_table_privilege(oid, privilege)
               END
    )
    SELECT object, reason FROM faults ORDER BY object, reason";
