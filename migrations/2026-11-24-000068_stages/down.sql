DROP VIEW q_deals;
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
DROP INDEX crm_deal_stage_history_standing;
SELECT app.install_query_view('crm_deals', 'q_deals');

CREATE OR REPLACE FUNCTION app.guard_record() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    id_text      text;
    id_moment    bigint;
    owner_column text := coalesce(TG_ARGV[0], 'owner_id');
    owner        uuid;
    old_owner    uuid;
    owner_status text;
BEGIN
    -- Each in a statement of its own: a row has one of the two columns.
    IF owner_column = 'assigned_to_id' THEN
        owner := NEW.assigned_to_id;
        IF TG_OP = 'UPDATE' THEN
            old_owner := OLD.assigned_to_id;
        END IF;
    ELSE
        owner := NEW.owner_id;
        IF TG_OP = 'UPDATE' THEN
            old_owner := OLD.owner_id;
        END IF;
    END IF;

    IF TG_OP = 'INSERT' THEN
        -- Lists show the newest first by id, so the time inside the id must be believable.
        id_text := NEW.id::text;
        IF substr(id_text, 15, 1) <> '7' OR substr(id_text, 20, 1) NOT IN ('8', '9', 'a', 'b') THEN
            RAISE EXCEPTION 'an id must be a version 7 UUID'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'id_not_v7', COLUMN = 'id', TABLE = TG_TABLE_NAME;
        END IF;
        id_moment := ('x0000' || substr(id_text, 1, 8) || substr(id_text, 10, 4))::bit(64)::bigint;
        IF id_moment > extract(epoch FROM clock_timestamp()) * 1000 + 60000 THEN
            RAISE EXCEPTION 'an id must not come from the future'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'id_from_future', COLUMN = 'id', TABLE = TG_TABLE_NAME;
        END IF;

    ELSIF OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL THEN
        NEW.deleted_at := now();
        NEW.deleted_by_id := app.user_id();

    ELSIF OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS NULL THEN
        IF NOT app.is_manager() AND OLD.deleted_by_id IS DISTINCT FROM app.user_id() THEN
            RAISE EXCEPTION 'only an owner, an admin or who deleted a record can restore it'
                USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'restore_forbidden', TABLE = TG_TABLE_NAME;
        END IF;
        NEW.deleted_by_id := NULL;

    ELSIF OLD.deleted_at IS NOT NULL THEN
        RAISE EXCEPTION 'a deleted record cannot be changed'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'record_deleted', TABLE = TG_TABLE_NAME;
    END IF;

    -- Records of somebody who left keep their owner; new ones cannot be given to them. The caller is known to be
    -- active.
    IF owner IS DISTINCT FROM app.user_id()
       AND (TG_OP = 'INSERT' OR owner IS DISTINCT FROM old_owner)
    THEN
        SELECT status
          INTO owner_status
          FROM public.memberships
         WHERE organization_id = NEW.organization_id AND user_id = owner;
        IF owner IS NOT NULL AND owner_status IS NULL THEN
            RAISE EXCEPTION 'no such member'
                USING ERRCODE = 'foreign_key_violation', CONSTRAINT = format('%s_%s_fkey', TG_TABLE_NAME, owner_column),
                      COLUMN = owner_column, TABLE = TG_TABLE_NAME;
        ELSIF owner_status <> 'active' THEN
            RAISE EXCEPTION 'the owner is not an active member'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'owner_not_active', COLUMN = owner_column,
                      TABLE = TG_TABLE_NAME;
        END IF;
    END IF;
    RETURN NEW;
END
$$;

DROP FUNCTION app.is_led_elsewhere(oid, jsonb, jsonb);
SELECT app.seal_functions();
