-- Steps and restored records as they were before.
DROP TRIGGER guard_80_custom_values ON crm_companies;
DROP TRIGGER guard_80_custom_values ON crm_contacts;
DROP TRIGGER guard_80_custom_values ON crm_deals;
DROP TRIGGER hold_definitions ON crm_custom_fields;

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
END
$$;

CREATE OR REPLACE FUNCTION app.custom_field_step(p_org uuid, p_field uuid, p_limit integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    work    public.crm_custom_field_work;
    field   public.crm_custom_fields;
    batch   jsonb;
    last_id uuid;
    many    bigint;
    fits    bigint := 0;
    unfit   bigint := 0;
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

    EXECUTE format(
        'WITH batch AS MATERIALIZED (
             SELECT id, custom_fields, deleted_at FROM %s
              WHERE organization_id = $1 AND id > $2 ORDER BY id LIMIT $3 FOR NO KEY UPDATE
         )
         SELECT count(*), (SELECT id FROM batch ORDER BY id DESC LIMIT 1),
                jsonb_agg(jsonb_build_object(''id'', id, ''custom_fields'', jsonb_build_object($4, custom_fields -> $4),
                                             ''is_living'', deleted_at IS NULL) ORDER BY id)
                    FILTER (WHERE custom_fields ? $4)
           FROM batch', app.custom_field_table(field.entity))
       INTO many, last_id, batch
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
           finished_at = CASE WHEN many < p_limit THEN now() END
     WHERE organization_id = p_org AND field_id = p_field;
    RETURN many;
END
$$;

DROP FUNCTION app.convert_what_returns();
DROP FUNCTION app.hold_definitions_first();
