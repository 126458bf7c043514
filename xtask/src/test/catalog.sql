-- Every object outside PostgreSQL's own schemas and outside extensions, a line each.
WITH own_schema AS (
    SELECT oid, nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema'
), of_extension AS (
    SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), own_relation AS (
    SELECT c.*, s.nspname || '.' || c.relname AS name FROM pg_class c JOIN own_schema s ON s.oid = c.relnamespace
    WHERE c.relname NOT LIKE '\_\_diesel\_schema\_migrations%'
      AND (('pg_class'::regclass), c.oid) NOT IN (SELECT classid, objid FROM of_extension)
)
SELECT concat_ws(' ', 'schema', nspname, pg_get_userbyid(nspowner), nspacl) AS line
    FROM pg_namespace WHERE oid IN (SELECT oid FROM own_schema)
UNION ALL
SELECT concat_ws(' ', 'extension', extname, extversion) FROM pg_extension
UNION ALL
SELECT concat_ws(' ', 'relation', relkind, name, pg_get_userbyid(relowner), relpersistence, reloptions, relrowsecurity,
                 relforcerowsecurity, relreplident, relispartition, pg_get_expr(relpartbound, oid), pg_get_partkeydef(oid), relacl)
    FROM own_relation WHERE relkind <> 't'
UNION ALL
SELECT concat_ws(' ', 'column', r.name, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
                 a.attgenerated, a.attcollation::regcollation, pg_get_expr(d.adbin, d.adrelid), a.attacl)
    FROM own_relation r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum WHERE r.relkind IN ('r', 'p', 'v', 'm', 'c')
UNION ALL
SELECT concat_ws(' ', 'constraint', r.name, k.conname, k.convalidated, pg_get_constraintdef(k.oid))
    FROM own_relation r JOIN pg_constraint k ON k.conrelid = r.oid
UNION ALL
SELECT concat_ws(' ', 'index', pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisreplident)
    FROM own_relation r JOIN pg_index i ON i.indrelid = r.oid
UNION ALL
SELECT concat_ws(' ', 'trigger', t.tgenabled, pg_get_triggerdef(t.oid))
    FROM own_relation r JOIN pg_trigger t ON t.tgrelid = r.oid AND NOT t.tgisinternal
UNION ALL
SELECT concat_ws(' ', 'policy', r.name, p.polname, p.polcmd, p.polpermissive, p.polroles::regrole[],
                 pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
    FROM own_relation r JOIN pg_policy p ON p.polrelid = r.oid
UNION ALL
SELECT concat_ws(' ', 'view', name, pg_get_viewdef(oid)) FROM own_relation WHERE relkind IN ('v', 'm')
UNION ALL
SELECT concat_ws(' ', 'sequence', r.name, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcycle)
    FROM own_relation r JOIN pg_sequence s ON s.seqrelid = r.oid
UNION ALL
SELECT concat_ws(' ', 'function', pg_get_userbyid(p.proowner), p.proacl, pg_get_functiondef(p.oid))
    FROM pg_proc p WHERE p.pronamespace IN (SELECT oid FROM own_schema) AND p.prokind IN ('f', 'p')
      AND ('pg_proc'::regclass, p.oid) NOT IN (SELECT classid, objid FROM of_extension)
UNION ALL
SELECT concat_ws(' ', 'type', s.nspname, t.typname, t.typtype, format_type(t.typbasetype, t.typtypmod), t.typnotnull, t.typdefault,
                 (SELECT string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid),
                 (SELECT string_agg(pg_get_constraintdef(k.oid), ',' ORDER BY k.conname) FROM pg_constraint k WHERE k.contypid = t.oid))
    FROM pg_type t JOIN own_schema s ON s.oid = t.typnamespace
    WHERE t.typtype IN ('d', 'e', 'r') AND ('pg_type'::regclass, t.oid) NOT IN (SELECT classid, objid FROM of_extension)
UNION ALL
SELECT concat_ws(' ', 'default privileges', pg_get_userbyid(defaclrole), defaclnamespace::regnamespace, defaclobjtype, defaclacl)
    FROM pg_default_acl
UNION ALL
SELECT concat_ws(' ', 'statistics', pg_get_statisticsobjdef(oid)) FROM pg_statistic_ext
UNION ALL
SELECT concat_ws(' ', 'event trigger', evtname, evtevent, evtenabled, evttags, evtfoid::regproc) FROM pg_event_trigger
