//! Every table of ours: forced policies that begin with the organisation, tracking, triggers that fire, composite keys.

/// Tables exempt from a rule: `(table, rule, why)`. The rules are `policy`, `tracking` and `composite_key`.
pub const EXEMPT: &[(&str, &str, &str)] = &[
    ("public.__diesel_schema_migrations", "policy", "which migrations ran; the same for every tenant"),
    ("public.__diesel_schema_migrations", "tracking", "written by migrations alone"),
    ("public.__diesel_schema_migrations", "composite_key", "belongs to no tenant"),
    ("public.organizations", "composite_key", "is the tenant"),
    ("public.users", "composite_key", "people belong to several tenants"),
    ("public.users", "tracking", "has no tenant to log for, and the application cannot write it"),
    ("public.crm_activities", "tracking", "is the log"),
    ("public.crm_activity_details", "tracking", "is the log's values"),
    ("public.crm_deal_stage_history", "tracking", "derived from deals by a trigger"),
    ("public.crm_deal_figures", "tracking", "derived from deals by triggers"),
    ("public.crm_idempotent_answers", "tracking", "answers to changes that are logged themselves"),
    ("public.crm_custom_field_work", "tracking", "says how far a job has come; what it changes is logged where it changes"),
    ("public.crm_custom_values", "tracking", "derived from custom fields by triggers"),
    ("public.crm_record_times", "tracking", "derived from records and their activities by triggers"),
    ("identity.credentials", "tracking", "secrets never enter the log"),
    ("identity.credentials", "composite_key", "people belong to several tenants"),
    ("identity.sessions", "tracking", "is itself the record of logins"),
    ("identity.sessions", "composite_key", "found by session before the tenant is known"),
    ("identity.refresh_tokens", "tracking", "secrets never enter the log"),
    ("identity.letters", "tracking", "mail on its way; what it is about is logged where it happens"),
    ("identity.letters", "composite_key", "people belong to several tenants, and to none before they confirm"),
    ("identity.ended_logins", "tracking", "says since when; what ended with it is logged with each session"),
    ("identity.emptied_addresses", "tracking", "says how far housekeeping has come, and nothing of a tenant"),
    (
        "identity.external_identities",
        "tracking",
        "logged by the functions that link and unlink, in every organisation of the person",
    ),
    ("identity.external_identities", "composite_key", "people belong to several tenants"),
    ("identity.external_tokens", "tracking", "remembers what was used, for as long as it could be used again"),
    ("identity.external_tokens", "composite_key", "found by hash before the tenant is known"),
    ("identity.refresh_tokens", "composite_key", "found by hash before the tenant is known"),
    ("identity.registrations", "tracking", "secrets of people who belong to no tenant yet"),
    ("identity.registrations", "composite_key", "people belong to no tenant before they confirm"),
    ("identity.links", "tracking", "secrets never enter the log; what a link does is logged where it happens"),
    ("identity.links", "composite_key", "people belong to several tenants"),
    ("identity.throttles", "tracking", "counts tries; what they led to is logged where it happens"),
    ("identity.throttles", "composite_key", "tries are counted before anyone is known"),
    ("identity.known_devices", "tracking", "secrets never enter the log; the login itself does"),
    ("identity.known_devices", "composite_key", "people belong to several tenants"),
    ("identity.second_factors", "tracking", "secrets never enter the log; that it changed does"),
    ("identity.second_factors", "composite_key", "people belong to several tenants"),
    ("identity.recovery_codes", "tracking", "secrets never enter the log; that one was used does"),
    ("identity.recovery_codes", "composite_key", "people belong to several tenants"),
];

/// Tables without the seal, unless `$1` exempts them from that rule.
pub(super) const TABLE_FAULTS: &str = "
    WITH tables AS (
        SELECT class.oid, format('%I.%I', namespace.nspname, class.relname) AS name,
               class.relrowsecurity, class.relforcerowsecurity, class.relispartition
          FROM pg_class AS class
          JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
         WHERE namespace.nspname IN ('public', 'identity', 'app') AND class.relkind IN ('r', 'p')
           AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = class.oid AND deptype = 'e')
    ), faults AS (
        SELECT name AS object, 'policy' AS rule, 'row-level security is not enabled and forced' AS reason
          FROM tables WHERE NOT (relrowsecurity AND relforcerowsecurity)
        UNION ALL
        SELECT tables.name, 'policy', 'a restrictive policy becomes permissive on the nodes of a cluster'
          FROM tables JOIN pg_policy ON polrelid = tables.oid WHERE NOT polpermissive
        UNION ALL
        SELECT name, 'policy', 'the application may read it, but no policy names the organisation'
          FROM tables
         WHERE NOT relispartition AND has_table_privilege(tables.oid, 'SELECT')
           AND NOT EXISTS (SELECT FROM pg_policy
                            WHERE polrelid = tables.oid AND polcmd IN ('r', '*')
                              AND pg_get_expr(polqual, polrelid) LIKE '%app.org_id()%')
        UNION ALL
        -- Permissive policies are joined by OR: one that does not begin with the organisation opens all that the others close.
        SELECT name, 'policy', format('policy %I does not begin with the organisation', polname)
          FROM tables
          JOIN pg_policy ON polrelid = tables.oid
         CROSS JOIN LATERAL (VALUES (pg_get_expr(polqual, polrelid)), (pg_get_expr(polwithcheck, polrelid))) AS test (text)
         WHERE polpermissive
           AND EXISTS (SELECT FROM unnest(polroles) AS bound WHERE bound = 0 OR pg_has_role(bound, 'MEMBER'))
           AND test.text NOT LIKE format('((%s = app.org_id()) AND %%',
                                         CASE name WHEN 'public.organizations' THEN 'id' ELSE 'organization_id' END)
        UNION ALL
        SELECT name, 'tracking', 'changes to it would not be logged: ' || missing.kind || ' trigger'
          FROM tables
         CROSS JOIN (VALUES (4, 'insert'), (16, 'update'), (8, 'delete')) AS missing (bit, kind)
         WHERE NOT relispartition
           AND NOT EXISTS (SELECT FROM pg_trigger
                            WHERE tgrelid = tables.oid AND tgname = 'track_' || missing.kind
                              AND tgenabled IN ('O', 'A') AND tgtype & missing.bit > 0)
        UNION ALL
        -- The foreign keys are triggers too, and internal ones.
        SELECT name, 'trigger', format('its %I trigger is switched off, or fires on replicas alone', tgname)
          FROM tables JOIN pg_trigger ON tgrelid = tables.oid WHERE tgenabled IN ('D', 'R')
        UNION ALL
        SELECT name, 'composite_key', 'its primary key does not begin with the organisation'
          FROM tables
         WHERE NOT relispartition
           AND NOT EXISTS (SELECT FROM pg_constraint
                             JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
                            WHERE conrelid = tables.oid AND contype = 'p' AND attname = 'organization_id')
        UNION ALL
        SELECT tables.name, 'composite_key', format('foreign key %I does not carry the organisation', conname)
          FROM tables
          JOIN pg_constraint ON conrelid = tables.oid AND contype = 'f'
         WHERE NOT relispartition
           AND confrelid NOT IN ('public.organizations'::regclass, 'public.users'::regclass)
           AND NOT EXISTS (SELECT FROM pg_attribute
                            WHERE attrelid = conrelid AND attnum = ANY (conkey) AND attname = 'organization_id')
    )
    SELECT object, reason FROM faults WHERE object || ' ' || rule <> ALL ($1) ORDER BY object, reason";
