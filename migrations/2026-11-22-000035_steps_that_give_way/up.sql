-- Custom fields: a step waits for no record while it holds others, and what comes back from the bin fits the fields of today.
--
-- What must stay true:
--   * A step of custom fields waits for one record at most, and holds none while it waits. So nobody who writes waits for it in a circle.
--   * Whoever changes what a definition means waits before its row is held, because a step may have to change that row.
--   * What lies in the bin cannot be changed. Values whose field was converted meanwhile are converted when the record is restored.

-- ---------------------------------------------------------------- steps

-- One step of what is being done to a field: at most so many records in the order of their ids, up to the first that somebody else
-- holds. Says how many there were. The records of a step cannot be changed while it lasts, and it sees what was last written to them.
CREATE OR REPLACE FUNCTION app.custom_field_step(p_org uuid, p_field uuid, p_limit integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    work     public.crm_custom_field_work;
    field    public.crm_custom_fields;
    nouns    regclass;
    batch    jsonb;
    last_id  uuid;
    many     bigint;
    in_sight bigint;
    fits     bigint := 0;
    unfit    bigint := 0;
BEGIN
    -- The definition may have to give way (below), and whoever waits for a record of this step must not be waited for then. The lock
    -- comes first: whoever changes the definition has it when they look at the work.
    SELECT * INTO field FROM public.crm_custom_fields WHERE organization_id = p_org AND id = p_field;
    PERFORM app.lock_custom_fields(p_org, CASE WHEN field.is_unique THEN 'change' ELSE 'read' END);
    SELECT * INTO work FROM public.crm_custom_field_work
     WHERE organization_id = p_org AND field_id = p_field AND finished_at IS NULL
       FOR UPDATE SKIP LOCKED;
    SELECT * INTO field FROM public.crm_custom_fields WHERE organization_id = p_org AND id = p_field;
    IF work.field_id IS NULL OR work.generation <> field.generation THEN
        RETURN 0;  -- nothing to do, or it was changed again a moment ago and begins anew
    END IF;

    -- Nothing is held yet, so this may wait. The others are taken as far as nobody has them: whoever waits for a record of this step
    -- is never waited for.
    nouns := app.custom_field_table(field.entity);
    EXECUTE format('SELECT FROM %s WHERE organization_id = $1 AND id > $2 ORDER BY id LIMIT 1 FOR NO KEY UPDATE', nouns)
      USING p_org, work.after_id;
    EXECUTE format(
        'WITH ahead AS MATERIALIZED (
             SELECT id FROM %1$s WHERE organization_id = $1 AND id > $2 ORDER BY id LIMIT $3
         ), held AS MATERIALIZED (
             SELECT id, custom_fields, deleted_at FROM %1$s
              WHERE organization_id = $1 AND id > $2 AND id <= (SELECT id FROM ahead ORDER BY id DESC LIMIT 1)
              ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
         ), busy AS MATERIALIZED (
             SELECT id FROM ahead WHERE id NOT IN (SELECT id FROM held) ORDER BY id LIMIT 1
         ), batch AS MATERIALIZED (
             SELECT * FROM held WHERE NOT EXISTS (SELECT FROM busy WHERE busy.id <= held.id)
         )
         SELECT count(*), (SELECT count(*) FROM ahead), (SELECT id FROM batch ORDER BY id DESC LIMIT 1),
                jsonb_agg(jsonb_build_object(''id'', id, ''custom_fields'', jsonb_build_object($4, custom_fields -> $4),
                                             ''is_living'', deleted_at IS NULL) ORDER BY id)
                    FILTER (WHERE custom_fields ? $4)
           FROM batch', nouns)
       INTO many, in_sight, last_id, batch
      USING p_org, work.after_id, p_limit, field.key;

    IF batch IS NOT NULL AND work.task = 'convert' THEN
        SELECT * INTO fits, unfit FROM app.convert_custom_values(field, batch, work.misfits);
    END IF;
    IF batch IS NOT NULL AND (field.is_indexed OR field.is_unique)
       AND app.insert_missing_custom_values(field, batch) IS NOT NULL
    THEN
        IF app.org_id() IS NOT NULL THEN
            RAISE EXCEPTION 'records share a value of this field'
                USING ERRCODE = 'unique_violation', CONSTRAINT = 'custom_field_duplicates', COLUMN = 'is_unique';
        END IF;
        -- It cannot be unique. What was kept for that goes by with the number, and the order is built without it.
        UPDATE public.crm_custom_fields SET is_unique = false WHERE organization_id = p_org AND id = p_field;
        UPDATE public.crm_custom_field_work SET has_duplicates = true WHERE organization_id = p_org AND field_id = p_field;
        RETURN many;
    END IF;
    UPDATE public.crm_custom_field_work
       SET after_id = coalesce(last_id, after_id),
           records = records + many,
           converted = converted + fits,
           misfitting = misfitting + unfit,
           finished_at = CASE WHEN many = in_sight AND in_sight < p_limit THEN now() END
     WHERE organization_id = p_org AND field_id = p_field;
    RETURN many;
END
$$;

-- Before the row of a definition is held. Labels and the like change without waiting for those who write records.
CREATE FUNCTION app.hold_definitions_first() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    -- A step is of no organisation, and holds what it needs.
    IF app.org_id() IS NOT NULL THEN
        PERFORM app.lock_custom_fields(app.org_id(), 'change');
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER hold_definitions BEFORE UPDATE OF field_type, is_indexed, is_unique, is_required, retired_at, options ON crm_custom_fields
    FOR EACH STATEMENT EXECUTE FUNCTION app.hold_definitions_first();

-- ---------------------------------------------------------------- from the bin

-- Makes the values of a record that is restored those of the types that their fields have now. What does not fit stays as it is, unless
-- the conversion of its field was told to clear it. References are never converted.
CREATE FUNCTION app.convert_what_returns() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    field   record;
    fitting jsonb;
BEGIN
    FOR field IN
        SELECT definition.key, definition.field_type, definition.options, coalesce(work.misfits = 'clear', false) AS clears
          FROM public.crm_custom_fields AS definition
          LEFT JOIN public.crm_custom_field_work AS work
            ON work.organization_id = definition.organization_id AND work.field_id = definition.id AND work.task = 'convert'
         WHERE definition.organization_id = NEW.organization_id
           AND definition.entity = TG_ARGV[0]
           AND definition.field_type NOT IN ('member', 'company', 'contact', 'deal')
           AND NEW.custom_fields ? definition.key
    LOOP
        fitting := app.custom_value_as(field.field_type, field.options, NEW.custom_fields -> field.key);
        IF fitting IS NOT NULL THEN
            NEW.custom_fields := NEW.custom_fields || jsonb_build_object(field.key, fitting);
        ELSIF field.clears THEN
            NEW.custom_fields := NEW.custom_fields - field.key;
        END IF;
    END LOOP;
    RETURN NEW;
END
$$;

-- As before, and the trigger for what comes back.
CREATE OR REPLACE FUNCTION app.install_custom_values(target regclass, entity text) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    EXECUTE format(
        'CREATE TRIGGER hold_custom_fields BEFORE INSERT OR UPDATE OR DELETE ON %s
         FOR EACH STATEMENT EXECUTE FUNCTION app.hold_custom_fields_first()', target);
    EXECUTE format(
        'CREATE TRIGGER keep_custom_values_insert AFTER INSERT ON %s
         REFERENCING NEW TABLE AS newtab FOR EACH STATEMENT EXECUTE FUNCTION app.keep_custom_values(%L)', target, entity);
    EXECUTE format(
        'CREATE TRIGGER keep_custom_values_update AFTER UPDATE ON %s
         REFERENCING OLD TABLE AS oldtab NEW TABLE AS newtab FOR EACH STATEMENT EXECUTE FUNCTION app.keep_custom_values(%L)',
        target, entity);
    EXECUTE format(
        'CREATE TRIGGER keep_custom_values_delete AFTER DELETE ON %s
         REFERENCING OLD TABLE AS oldtab FOR EACH STATEMENT EXECUTE FUNCTION app.keep_custom_values(%L)', target, entity);
    EXECUTE format(
        'CREATE TRIGGER guard_80_custom_values BEFORE UPDATE ON %s
         FOR EACH ROW WHEN (OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS NULL AND NEW.custom_fields <> ''{}'')
         EXECUTE FUNCTION app.convert_what_returns(%L)', target, entity);
END
$$;

DO $$
DECLARE
    noun record;
BEGIN
    FOR noun IN SELECT * FROM (VALUES ('crm_companies', 'company'), ('crm_contacts', 'contact'), ('crm_deals', 'deal'))
                    AS nouns (target, entity)
    LOOP
        EXECUTE format(
            'CREATE TRIGGER guard_80_custom_values BEFORE UPDATE ON %I
             FOR EACH ROW WHEN (OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS NULL AND NEW.custom_fields <> ''{}'')
             EXECUTE FUNCTION app.convert_what_returns(%L)', noun.target, noun.entity);
    END LOOP;
END
$$;

SELECT app.seal_functions();
