-- When each record was last changed, and when anything last happened to it: crm_record_times, a narrow row beside each wide one,
-- so that lists can be sorted and filtered by both. ADR 0032 has the figures.
--
-- What must stay true:
--   * Every company, contact and deal has its row, written in the statement that writes the record; updated_at is the record's.
--   * No column that changes with every update is in an index of the wide tables: their updates stay HOT.
--   * last_activity_at never goes back. What the system does by itself is no activity, but for bringing a record in.

CREATE TABLE crm_record_times (
    organization_id  uuid        NOT NULL,
    entity           varchar(50) NOT NULL,
    record_id        uuid        NOT NULL,
    in_bin           boolean     NOT NULL,
    updated_at       timestamptz NOT NULL,
    last_activity_at timestamptz NOT NULL,
    CONSTRAINT crm_record_times_pkey PRIMARY KEY (organization_id, entity, record_id)
);
CREATE INDEX crm_record_times_updated  ON crm_record_times (organization_id, entity, in_bin, updated_at, record_id);
CREATE INDEX crm_record_times_activity ON crm_record_times (organization_id, entity, in_bin, last_activity_at, record_id);
-- Every update leaves an old row behind; pages are cleaned before a fifth of the table is dead.
ALTER TABLE crm_record_times SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

SELECT app.secure_table('crm_record_times');
GRANT INSERT, UPDATE, DELETE ON crm_record_times TO crm_definer;

-- Room for the next version of a row on its page: without it six of ten updates were not HOT, with it one of a thousand.
ALTER TABLE crm_companies SET (fillfactor = 85);
ALTER TABLE crm_contacts SET (fillfactor = 85);
ALTER TABLE crm_deals SET (fillfactor = 85);

-- ---------------------------------------------------------------- writing

-- Of a record itself; the argument is what the log calls its kind. Upserts and loops, never a join with the table: its plan would be
-- kept for the session, and one that was made for an import of thousands reads the whole table for each single change.
CREATE FUNCTION app.keep_times() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    by_system boolean := coalesce(app.context('actor_kind'), 'system') = 'system';
    gone      record;
BEGIN
    IF TG_OP = 'DELETE' THEN
        FOR gone IN SELECT organization_id, id FROM oldtab LOOP
            DELETE FROM public.crm_record_times
             WHERE organization_id = gone.organization_id AND entity = TG_ARGV[0] AND record_id = gone.id;
        END LOOP;
        RETURN NULL;
    END IF;

    INSERT INTO public.crm_record_times AS times (organization_id, entity, record_id, in_bin, updated_at, last_activity_at)
    SELECT organization_id, TG_ARGV[0], id, deleted_at IS NOT NULL, updated_at, updated_at
      FROM newtab
     ORDER BY organization_id, id
        ON CONFLICT (organization_id, entity, record_id) DO UPDATE
       SET in_bin = excluded.in_bin,
           updated_at = excluded.updated_at,
           last_activity_at = CASE WHEN by_system THEN times.last_activity_at
                                   ELSE greatest(times.last_activity_at, excluded.last_activity_at) END
     WHERE (times.updated_at, times.in_bin) IS DISTINCT FROM (excluded.updated_at, excluded.in_bin);
    RETURN NULL;
END
$$;

-- Of what hangs on a record: the log names it as the subject.
CREATE FUNCTION app.note_activity() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    touched record;
BEGIN
    FOR touched IN
        SELECT organization_id, subject_type, subject_id, max(occurred_at) AS occurred_at
          FROM newtab
         WHERE subject_id <> entity_id
           AND subject_type IN ('company', 'contact', 'deal')
           AND actor_kind <> 'system'
         GROUP BY organization_id, subject_type, subject_id
         ORDER BY organization_id, subject_id
    LOOP
        UPDATE public.crm_record_times
           SET last_activity_at = touched.occurred_at
         WHERE organization_id = touched.organization_id
           AND entity = touched.subject_type
           AND record_id = touched.subject_id
           AND last_activity_at < touched.occurred_at;
    END LOOP;
    RETURN NULL;
END
$$;

CREATE TRIGGER note_activity AFTER INSERT ON crm_activities
    REFERENCING NEW TABLE AS newtab FOR EACH STATEMENT EXECUTE FUNCTION app.note_activity();

-- Gives a noun its times: the triggers, the rows of what is there already, and the view with both. `entity` is what the log calls it.
CREATE FUNCTION app.install_times(target regclass, entity text, view_name text) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    EXECUTE format(
        'CREATE OR REPLACE TRIGGER keep_times_insert AFTER INSERT ON %s
         REFERENCING NEW TABLE AS newtab FOR EACH STATEMENT EXECUTE FUNCTION app.keep_times(%L)', target, entity);
    EXECUTE format(
        'CREATE OR REPLACE TRIGGER keep_times_update AFTER UPDATE ON %s
         REFERENCING NEW TABLE AS newtab FOR EACH STATEMENT EXECUTE FUNCTION app.keep_times(%L)', target, entity);
    EXECUTE format(
        'CREATE OR REPLACE TRIGGER keep_times_delete AFTER DELETE ON %s
         REFERENCING OLD TABLE AS oldtab FOR EACH STATEMENT EXECUTE FUNCTION app.keep_times(%L)', target, entity);
    EXECUTE format(
        'INSERT INTO public.crm_record_times (organization_id, entity, record_id, in_bin, updated_at, last_activity_at)
         SELECT record.organization_id, %1$L, record.id, record.deleted_at IS NOT NULL, record.updated_at,
                greatest(record.created_at, (
                    SELECT max(activity.occurred_at)
                      FROM public.crm_activities AS activity
                     WHERE activity.organization_id = record.organization_id
                       AND activity.subject_id = record.id
                       AND (activity.actor_kind <> ''system'' OR activity.activity_type = ''created'')))
           FROM %2$s AS record
             ON CONFLICT DO NOTHING', entity, target);
    PERFORM app.install_query_view(target, view_name);
END
$$;

-- The counterpart, for down scripts.
CREATE FUNCTION app.remove_times(target regclass, view_name text) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    EXECUTE format('DROP TRIGGER IF EXISTS keep_times_insert ON %s', target);
    EXECUTE format('DROP TRIGGER IF EXISTS keep_times_update ON %s', target);
    EXECUTE format('DROP TRIGGER IF EXISTS keep_times_delete ON %s', target);
    PERFORM app.install_query_view(target, view_name);
END
$$;

-- ---------------------------------------------------------------- reading

-- As before, and for a table with times their columns behind its own. A left join, because the planner leaves it out where none of its
-- columns is asked for; what is shown is looked up on its own, behind the sort and for the page alone. The view is made anew, not replaced: a column that was added to the table comes before those of the times.
CREATE OR REPLACE FUNCTION app.install_query_view(target regclass, view_name text) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    entity text := (
        SELECT encode(trim(TRAILING '\x00'::bytea FROM tgargs), 'escape')
          FROM pg_trigger
         WHERE tgrelid = target AND tgname = 'keep_times_insert');
BEGIN
    EXECUTE format('DROP VIEW IF EXISTS public.%I', view_name);
    IF entity IS NULL THEN
        EXECUTE format(
            'CREATE VIEW public.%I AS SELECT * FROM %s WHERE organization_id = app.org_id() AND app.role() IS NOT NULL',
            view_name, target);
    ELSE
        EXECUTE format(
            'CREATE VIEW public.%1$I AS
             SELECT record.*,
                    coalesce((SELECT last_activity_at
                                FROM crm_record_times
                               WHERE organization_id = record.organization_id AND entity = %3$L AND record_id = record.id),
                             record.updated_at) AS last_activity_at,
                    times.updated_at AS updated_at_key, times.last_activity_at AS last_activity_key, times.in_bin
               FROM %2$s AS record
               LEFT JOIN crm_record_times AS times
                 ON times.organization_id = record.organization_id
                AND times.entity = %3$L
                AND times.record_id = record.id
              WHERE record.organization_id = app.org_id() AND app.role() IS NOT NULL',
            view_name, target, entity);
    END IF;
    EXECUTE format('ALTER VIEW public.%I OWNER TO crm_definer', view_name);
    EXECUTE format('GRANT SELECT ON public.%I TO crm_app', view_name);
END
$$;

SELECT app.install_times('crm_companies', 'company', 'q_companies');
SELECT app.install_times('crm_contacts', 'contact', 'q_contacts');
SELECT app.install_times('crm_deals', 'deal', 'q_deals');

SELECT app.seal_functions();
