-- The log: crm_activities (who, when, which record, which fields) and crm_activity_details (the values), and the
-- generator of the triggers that write them (app.install_tracking).
--
-- What must stay true:
--   * Only these triggers write the log, in the transaction of the change. crm_app can neither write nor change it.
--   * crm_activities never changes, but for position and hash, which the relay adds. Every value a person may have the
--     right to have forgotten lies in crm_activity_details, which an erasure empties.
--   * Partitions are months in UTC, whatever the session's time zone. created_at is the time of recording, so history
--     that is imported lands in the current month and keeps its own time in occurred_at.
--   * Partitions do not inherit row-level security: each has it forced, and no policy, so none can be read directly.

-- ---------------------------------------------------------------- tables

-- One order over both tables' rows, and over stage history. Per record it is the order of the writes.
CREATE SEQUENCE crm_activities_seq CACHE 1;

CREATE TABLE crm_activities (
    id              uuid        NOT NULL DEFAULT app.uuid7(),
    organization_id uuid        NOT NULL,
    activity_type   varchar(50) NOT NULL,
    entity_type     varchar(50) NOT NULL,
    entity_id       uuid        NOT NULL,
    subject_type    varchar(50) NOT NULL,  -- the record on whose timeline this shows: for a noun, itself
    subject_id      uuid        NOT NULL,
    user_id         uuid,
    actor_kind      varchar(20) NOT NULL,
    token_id        uuid,
    session_id      uuid,
    request_id      text,
    operation_id    uuid,                  -- one per bulk call or import: the handle for undo
    record_version  integer,
    fields          text[]      NOT NULL DEFAULT '{}',
    occurred_at     timestamptz NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    xid             bigint      NOT NULL,  -- the writing transaction: rows below the oldest open one can no longer change places
    seq             bigint      NOT NULL,
    node            smallint    NOT NULL DEFAULT 0,
    position        bigint,                -- gap-free place in the feed, given later by the relay
    hash            bytea,                 -- chain over position, given later by the relay
    CONSTRAINT crm_activities_pkey PRIMARY KEY (organization_id, id, created_at),
    CONSTRAINT crm_activities_actor_kind_known CHECK (actor_kind IN ('user', 'service', 'system'))
) PARTITION BY RANGE (created_at);

CREATE INDEX crm_activities_entity    ON crm_activities (organization_id, entity_id, id);
CREATE INDEX crm_activities_subject   ON crm_activities (organization_id, subject_id, id);
CREATE INDEX crm_activities_user      ON crm_activities (organization_id, user_id, id);
CREATE INDEX crm_activities_operation ON crm_activities (organization_id, operation_id, id) WHERE operation_id IS NOT NULL;

CREATE TABLE crm_activity_details (
    organization_id uuid        NOT NULL,
    activity_id     uuid        NOT NULL,
    created_at      timestamptz NOT NULL,
    description     text,
    changes         jsonb,                 -- {"field": [old, new]}
    metadata        jsonb,
    ip              inet,
    user_agent      text,
    CONSTRAINT crm_activity_details_pkey PRIMARY KEY (organization_id, activity_id, created_at)
) PARTITION BY RANGE (created_at);

SELECT app.secure_table('crm_activities');
SELECT app.secure_table('crm_activity_details');
ALTER SEQUENCE crm_activities_seq OWNER TO crm_owner;

-- The relay reads the log of all organisations and gives rows their place; it sees no values.
CREATE POLICY worker_read ON crm_activities FOR SELECT TO crm_worker USING (true);
CREATE POLICY worker_place ON crm_activities FOR UPDATE TO crm_worker USING (true) WITH CHECK (true);

GRANT SELECT ON crm_activities TO crm_app;  -- not the details: ip and user agent are for owners and admins, see q_activities
GRANT SELECT, UPDATE (position, hash) ON crm_activities TO crm_worker;
GRANT INSERT ON crm_activities, crm_activity_details TO crm_definer;
GRANT USAGE ON SEQUENCE crm_activities_seq TO crm_definer;

-- ---------------------------------------------------------------- partitions

-- Makes the monthly partitions from from_month up to months_ahead months after it; says how many were missing. Run by
-- every `migrate up`; the worker may run it too, and a monthly job of it will. It belongs to crm_owner because only the owner of a table can add a partition to
-- it.
CREATE FUNCTION app.ensure_activity_partitions(
    months_ahead integer DEFAULT 12,
    from_month   date    DEFAULT (now() AT TIME ZONE 'UTC')::date
) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    first_month date := date_trunc('month', from_month::timestamp)::date;
    month_start date;
    month_end   date;
    parent      text;
    partition   text;
    made        integer := 0;
BEGIN
    FOR month_number IN 0 .. months_ahead LOOP
        month_start := (first_month + make_interval(months => month_number))::date;
        month_end   := (month_start + interval '1 month')::date;
        FOREACH parent IN ARRAY ARRAY['crm_activities', 'crm_activity_details'] LOOP
            partition := parent || '_' || to_char(month_start, 'YYYYMM');
            CONTINUE WHEN to_regclass(format('public.%I', partition)) IS NOT NULL;
            -- The offset is written out: a bound without one would be read in the session's time zone.
            EXECUTE format(
                'CREATE TABLE public.%I PARTITION OF public.%I FOR VALUES FROM (%L) TO (%L)',
                partition, parent,
                to_char(month_start, 'YYYY-MM-DD') || ' 00:00:00+00',
                to_char(month_end,   'YYYY-MM-DD') || ' 00:00:00+00');
            EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', partition);
            EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', partition);
            made := made + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END
$$;
ALTER FUNCTION app.ensure_activity_partitions(integer, date) OWNER TO crm_owner;

-- Catches what no month takes. It should stay empty (worth an alarm): a month cannot be added while it holds rows of
-- that month.
CREATE TABLE crm_activities_default PARTITION OF crm_activities DEFAULT;
CREATE TABLE crm_activity_details_default PARTITION OF crm_activity_details DEFAULT;
ALTER TABLE crm_activities_default OWNER TO crm_owner;
ALTER TABLE crm_activities_default ENABLE ROW LEVEL SECURITY;
ALTER TABLE crm_activities_default FORCE ROW LEVEL SECURITY;
ALTER TABLE crm_activity_details_default OWNER TO crm_owner;
ALTER TABLE crm_activity_details_default ENABLE ROW LEVEL SECURITY;
ALTER TABLE crm_activity_details_default FORCE ROW LEVEL SECURITY;

-- Two months back, for a restore into this schema; twelve ahead.
SELECT app.ensure_activity_partitions(14, ((now() AT TIME ZONE 'UTC') - interval '2 months')::date);

-- ---------------------------------------------------------------- reading

-- LATERAL with a LIMIT, because a plain join would read all the values of a tenant for the one page it shows: the planner cannot
-- know that both partitions are the same month (measured at 200,000 rows: 1.5 ms instead of 103 to 181).
CREATE VIEW q_activities AS
SELECT activity.*,
       detail.description,
       detail.changes,
       detail.metadata,
       CASE WHEN app.is_manager() THEN detail.ip END AS ip,
       CASE WHEN app.is_manager() THEN detail.user_agent END AS user_agent
  FROM crm_activities AS activity
  LEFT JOIN LATERAL (
       SELECT description, changes, metadata, ip, user_agent
         FROM crm_activity_details
        WHERE organization_id = activity.organization_id
          AND activity_id = activity.id
          AND created_at = activity.created_at
        LIMIT 1) AS detail ON true
 WHERE activity.organization_id = app.org_id()
   AND app.role() IS NOT NULL;
ALTER VIEW q_activities OWNER TO crm_definer;
GRANT SELECT ON q_activities TO crm_app;

-- ---------------------------------------------------------------- writing

-- An exact number as text, in the form the API shows money: at least two digits after the point, no zeros behind them. A
-- JSON number would be read as a float by most programs, and an amount that has been a float is no longer the amount.
CREATE FUNCTION app.exact_text(value numeric) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT CASE WHEN scale(trim_scale(value)) < 2 THEN round(value, 2)::text ELSE trim_scale(value)::text END $$;

-- Generates, for one table, the statement-level triggers that write the log, and the BEFORE UPDATE trigger that keeps
-- version and updated_at. To be called again after a column was added. Expressions name the row `r`.
--   entity           what the log calls it; entity_id says which
--   subject_type/id  the record whose timeline shows it; by default itself
--   label            a short text for people; goes to the details
--   status_column    a change of it is called status_changed (stage_changed for a stage)
--   hidden           columns whose values must not enter the log: secrets
-- The differences come from to_jsonb, so a column added later is logged as soon as tracking is installed again. What
-- must follow each change later (search documents) is one more statement in the three branches.
CREATE FUNCTION app.install_tracking(
    target        regclass,
    entity        text,
    label         text,
    entity_id     text   DEFAULT 'r.id',
    subject_type  text   DEFAULT NULL,
    subject_id    text   DEFAULT NULL,
    status_column text   DEFAULT NULL,
    hidden        text[] DEFAULT '{}'
) RETURNS void
LANGUAGE plpgsql
AS $install$
DECLARE
    table_name     text := (SELECT relname FROM pg_class WHERE oid = target);
    track_function text := format('app.%I', 'track_' || table_name);
    touch_function text := format('app.%I', 'touch_' || table_name);
    columns        text[];
    ignored        text[];
    compared       text[];
    key_join       text;
    org_column     text := 'id';  -- an organisation is its own
    soft_delete    boolean;
    update_type    text;
    version_of_n   text := 'NULL::integer';
    version_of_o   text := 'NULL::integer';
    time_of_n      text := 'now()';
    write_log      text;
    exact_numbers  text;
BEGIN
    SELECT array_agg(attname::text ORDER BY attnum),
           array_agg(attname::text ORDER BY attnum)
               FILTER (WHERE attgenerated <> ''
                          OR attname IN ('id', 'organization_id', 'created_at', 'updated_at', 'version')
                          OR attname = ANY (hidden)),
           array_agg(attname::text ORDER BY attnum)
               FILTER (WHERE attgenerated = '' AND attname NOT IN ('updated_at', 'version'))
      INTO columns, ignored, compared
      FROM pg_attribute
     WHERE attrelid = target AND attnum > 0 AND NOT attisdropped;

    SELECT ' || jsonb_build_object(' || string_agg(format('%1$L, app.exact_text(r.%1$I)', attname), ', ') || ')'
      INTO exact_numbers
      FROM pg_attribute
     WHERE attrelid = target AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND atttypid = 'numeric'::regtype;
    exact_numbers := coalesce(exact_numbers, '');

    SELECT string_agg(format('o.%1$I = n.%1$I', attname), ' AND ')
      INTO key_join
      FROM pg_index
      JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
     WHERE indrelid = target AND indisprimary;

    IF 'organization_id' = ANY (columns) THEN
        org_column := 'organization_id';
    END IF;
    soft_delete := 'deleted_at' = ANY (columns);
    IF 'version' = ANY (columns) THEN
        version_of_n := 'n.version';
        version_of_o := 'o.version';
    END IF;
    -- crm_app cannot set created_at, so it differs from now() in imported rows alone.
    IF 'created_at' = ANY (columns) THEN
        time_of_n := 'n.created_at';
    END IF;

    update_type := '''updated''';
    IF status_column IS NOT NULL THEN
        update_type := format(
            'CASE WHEN n.%1$I IS DISTINCT FROM o.%1$I THEN %2$L ELSE %3$s END',
            status_column,
            CASE status_column WHEN 'stage' THEN 'stage_changed' ELSE 'status_changed' END,
            update_type);
    END IF;
    IF soft_delete THEN
        update_type := format(
            'CASE WHEN o.deleted_at IS NULL AND n.deleted_at IS NOT NULL THEN ''deleted''
                  WHEN o.deleted_at IS NOT NULL AND n.deleted_at IS NULL THEN ''restored''
                  ELSE %s END',
            update_type);
    END IF;

    -- The moment is the clock's, not the transaction's: a writer that waited for a row began before the one it waited for, and
    -- its change would seem to be the earlier one.
    -- One command writes both tables. xid, seq and node are given, not defaulted: on the nodes of a cluster defaults
    -- are not theirs.
    write_log := $sql$
        logged AS (
            INSERT INTO public.crm_activities (
                id, organization_id, activity_type, entity_type, entity_id, subject_type, subject_id,
                user_id, actor_kind, token_id, session_id, request_id, operation_id,
                record_version, fields, occurred_at, created_at, xid, seq, node)
            SELECT activity_id, organization_id, activity_type, %1$L, entity_id, subject_type, subject_id,
                   app.user_id(), coalesce(app.context('actor_kind'), 'system'),
                   app.context('token_id')::uuid, app.context('session_id')::uuid,
                   app.context('request_id'), app.context('operation_id')::uuid,
                   record_version, coalesce(fields, '{}'), coalesce(occurred_at, recorded_at), recorded_at,
                   pg_current_xact_id()::text::bigint, seq, 0
              FROM change
        )
        INSERT INTO public.crm_activity_details (
            organization_id, activity_id, created_at, description, changes, ip, user_agent)
        SELECT organization_id, activity_id, recorded_at, description, changes,
               app.context('ip')::inet, app.context('user_agent')
          FROM change;
    $sql$;
    write_log := format(write_log, entity);

    EXECUTE format(
        $sql$
CREATE OR REPLACE FUNCTION %1$s() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
SET timezone = 'UTC'
AS $body$
BEGIN
    IF TG_OP = 'INSERT' THEN
        WITH change AS MATERIALIZED (
            SELECT app.uuid7() AS activity_id, nextval('public.crm_activities_seq') AS seq, clock_timestamp() AS recorded_at,
                   n.%19$I AS organization_id, 'created' AS activity_type, %2$s AS entity_id,
                   %3$s AS subject_type, %4$s AS subject_id,
                   %5$s AS record_version, %6$s AS occurred_at, left(%7$s, 200) AS description,
                   diff.changes, diff.fields
              FROM newtab AS n
             CROSS JOIN LATERAL (
                    SELECT jsonb_object_agg(key, jsonb_build_array(NULL, value)) AS changes,
                           array_agg(key ORDER BY key COLLATE "C") AS fields
                      FROM jsonb_each((%20$s) - %8$L::text[])
                     WHERE value <> 'null') AS diff
        ), %9$s
    ELSIF TG_OP = 'UPDATE' THEN
        WITH change AS MATERIALIZED (
            SELECT app.uuid7() AS activity_id, nextval('public.crm_activities_seq') AS seq, clock_timestamp() AS recorded_at,
                   n.%19$I AS organization_id, %10$s AS activity_type, %2$s AS entity_id,
                   %3$s AS subject_type, %4$s AS subject_id,
                   %5$s AS record_version, NULL::timestamptz AS occurred_at, left(%7$s, 200) AS description,
                   diff.changes, diff.fields
              FROM newtab AS n
              JOIN oldtab AS o ON %11$s
             CROSS JOIN LATERAL (
                    SELECT jsonb_object_agg(key, jsonb_build_array(before.state -> key, value)) AS changes,
                           array_agg(key ORDER BY key COLLATE "C") AS fields
                      FROM (SELECT %21$s AS state) AS before,
                           jsonb_each((%20$s) - %8$L::text[])
                     WHERE value <> before.state -> key) AS diff
             WHERE diff.fields IS NOT NULL
        ), %9$s
    ELSE
        WITH change AS MATERIALIZED (
            SELECT app.uuid7() AS activity_id, nextval('public.crm_activities_seq') AS seq, clock_timestamp() AS recorded_at,
                   o.%19$I AS organization_id, %12$L AS activity_type, %13$s AS entity_id,
                   %14$s AS subject_type, %15$s AS subject_id,
                   %16$s AS record_version, NULL::timestamptz AS occurred_at, %17$s AS description,
                   %18$s AS changes, diff.fields
              FROM oldtab AS o
             CROSS JOIN LATERAL (
                    SELECT jsonb_object_agg(key, jsonb_build_array(value, NULL)) AS changes,
                           array_agg(key ORDER BY key COLLATE "C") AS fields
                      FROM jsonb_each((%21$s) - %8$L::text[])
                     WHERE value <> 'null') AS diff
        ), %9$s
    END IF;
    RETURN NULL;
END
$body$
        $sql$,
        track_function,
        regexp_replace(entity_id, '\mr\.', 'n.', 'g'),
        coalesce(regexp_replace(subject_type, '\mr\.', 'n.', 'g'), quote_literal(entity)),
        regexp_replace(coalesce(subject_id, entity_id), '\mr\.', 'n.', 'g'),
        version_of_n,
        time_of_n,
        regexp_replace(label, '\mr\.', 'n.', 'g'),
        ignored,
        write_log,
        update_type,
        key_join,
        -- What is purged is meant to be gone: the log keeps that it happened and to which fields, not the values.
        CASE WHEN soft_delete THEN 'purged' ELSE 'deleted' END,
        regexp_replace(entity_id, '\mr\.', 'o.', 'g'),
        coalesce(regexp_replace(subject_type, '\mr\.', 'o.', 'g'), quote_literal(entity)),
        regexp_replace(coalesce(subject_id, entity_id), '\mr\.', 'o.', 'g'),
        version_of_o,
        CASE WHEN soft_delete THEN 'NULL::text'
             ELSE format('left(%s, 200)', regexp_replace(label, '\mr\.', 'o.', 'g')) END,
        CASE WHEN soft_delete THEN 'NULL::jsonb' ELSE 'diff.changes' END,
        org_column,
        'to_jsonb(n)' || replace(exact_numbers, 'r.', 'n.'),
        'to_jsonb(o)' || replace(exact_numbers, 'r.', 'o.'));
    EXECUTE format('ALTER FUNCTION %s() OWNER TO crm_definer', track_function);
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s() FROM PUBLIC', track_function);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s() TO crm_owner', track_function);

    EXECUTE format(
        'CREATE OR REPLACE TRIGGER track_insert AFTER INSERT ON %s
         REFERENCING NEW TABLE AS newtab FOR EACH STATEMENT EXECUTE FUNCTION %s()',
        target, track_function);
    EXECUTE format(
        'CREATE OR REPLACE TRIGGER track_update AFTER UPDATE ON %s
         REFERENCING OLD TABLE AS oldtab NEW TABLE AS newtab FOR EACH STATEMENT EXECUTE FUNCTION %s()',
        target, track_function);
    EXECUTE format(
        'CREATE OR REPLACE TRIGGER track_delete AFTER DELETE ON %s
         REFERENCING OLD TABLE AS oldtab FOR EACH STATEMENT EXECUTE FUNCTION %s()',
        target, track_function);

    IF NOT columns @> ARRAY['version', 'updated_at'] THEN
        RETURN;
    END IF;

    -- An update that changes nothing must not bump the version: the ETag of an unchanged record stays. The columns are
    -- listed because generated ones are not yet computed in a BEFORE trigger. `touch` sorts after every guard_ trigger
    -- and must.
    EXECUTE format(
        $sql$
CREATE OR REPLACE FUNCTION %1$s() RETURNS trigger
LANGUAGE plpgsql
AS $body$
BEGIN
    IF ROW(%2$s) IS NOT DISTINCT FROM ROW(%3$s) THEN
        NEW.version := OLD.version;
        NEW.updated_at := OLD.updated_at;
    ELSE
        NEW.version := OLD.version + 1;
        NEW.updated_at := greatest(clock_timestamp(), OLD.updated_at);
    END IF;
    RETURN NEW;
END
$body$
        $sql$,
        touch_function,
        (SELECT string_agg(format('NEW.%I', name), ', ') FROM unnest(compared) AS name),
        (SELECT string_agg(format('OLD.%I', name), ', ') FROM unnest(compared) AS name));
    EXECUTE format('ALTER FUNCTION %s() OWNER TO crm_definer', touch_function);
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s() FROM PUBLIC', touch_function);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s() TO crm_owner', touch_function);
    EXECUTE format(
        'CREATE OR REPLACE TRIGGER touch BEFORE UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION %s()',
        target, touch_function);
END
$install$;

-- The counterpart, for down scripts. Dropping the functions takes nothing else with it but the triggers that call them.
CREATE FUNCTION app.remove_tracking(target regclass) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    table_name text := (SELECT relname FROM pg_class WHERE oid = target);
BEGIN
    EXECUTE format('DROP TRIGGER IF EXISTS track_insert ON %s', target);
    EXECUTE format('DROP TRIGGER IF EXISTS track_update ON %s', target);
    EXECUTE format('DROP TRIGGER IF EXISTS track_delete ON %s', target);
    EXECUTE format('DROP TRIGGER IF EXISTS touch ON %s', target);
    EXECUTE format('DROP FUNCTION IF EXISTS app.%I()', 'track_' || table_name);
    EXECUTE format('DROP FUNCTION IF EXISTS app.%I()', 'touch_' || table_name);
END
$$;

SELECT app.install_tracking('organizations', 'organization', 'r.name');
SELECT app.install_tracking('teams', 'team', 'r.name');
SELECT app.install_tracking('memberships', 'member', 'r.role', entity_id => 'r.user_id', status_column => 'status');

SELECT app.seal_functions();
GRANT EXECUTE ON FUNCTION app.ensure_activity_partitions(integer, date) TO crm_worker;
