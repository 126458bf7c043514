-- app.import_records: the one way to bring records in with their own times and authors.
--
-- What must stay true:
--   * Only owners and admins import, only into their own organisation, and never into the future.
--   * Every guard and every trigger applies: imported records are logged, with occurred_at = their created_at.
--   * No SQL text is made from input: column names come from the catalogue, values only pass through
--     jsonb_populate_record.

CREATE FUNCTION app.import_records(p_entity text, p_rows jsonb) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    max_rows CONSTANT integer := 5000;
    -- Set here or by triggers, never by the one who imports.
    reserved CONSTANT text[] := ARRAY['organization_id', 'deleted_at', 'deleted_by_id', 'version', 'base_amount', 'base_rate'];
    target_table regclass;
    column_list  text;
    value_list   text;
    bad_column   text;
    imported     integer;
BEGIN
    IF NOT app.is_manager() OR app.org_id() IS NULL THEN
        RAISE EXCEPTION 'only an owner or an admin can import'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'import_forbidden';
    END IF;

    target_table := CASE p_entity
        WHEN 'company' THEN 'public.crm_companies'::regclass
        WHEN 'contact' THEN 'public.crm_contacts'::regclass
        WHEN 'deal'    THEN 'public.crm_deals'::regclass
    END;
    IF target_table IS NULL THEN
        RAISE EXCEPTION 'nothing of this kind can be imported'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'import_entity_unknown';
    END IF;
    IF p_rows IS NULL OR jsonb_typeof(p_rows) <> 'array'
       OR EXISTS (SELECT FROM jsonb_array_elements(p_rows) AS item WHERE jsonb_typeof(item) <> 'object')
    THEN
        RAISE EXCEPTION 'the rows must be an array of objects'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'import_rows_shape';
    END IF;
    IF jsonb_array_length(p_rows) > max_rows THEN
        RAISE EXCEPTION 'at most % rows a call', max_rows
            USING ERRCODE = 'check_violation', CONSTRAINT = 'import_too_many_rows';
    END IF;

    -- A key that is absent takes the column's default, one that is null is NULL. An id that is absent is made for the
    -- time of the row, because lists show the newest first by id.
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum),
           string_agg(
               format('CASE WHEN item ? %1$L THEN given.%1$I ELSE %2$s END',
                      attname,
                      CASE attname
                          WHEN 'id' THEN 'app.uuid7_at(coalesce(given.created_at, clock_timestamp()))'
                          WHEN 'updated_at' THEN 'coalesce(given.created_at, now())'
                          ELSE coalesce(pg_get_expr(adbin, adrelid), 'NULL')
                      END),
               ', ' ORDER BY attnum)
      INTO column_list, value_list
      FROM pg_attribute
      LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
     WHERE attrelid = target_table
       AND attnum > 0
       AND NOT attisdropped
       AND attgenerated = ''
       AND attname <> ALL (reserved);

    EXECUTE format(
        'SELECT CASE WHEN bool_or(created_at > now() OR NOT isfinite(created_at)) THEN ''created_at''
                     WHEN bool_or(updated_at > now() OR NOT isfinite(updated_at)) THEN ''updated_at'' END
           FROM jsonb_populate_recordset(NULL::%s, $1)', target_table)
       INTO bad_column
      USING p_rows;
    IF bad_column IS NOT NULL THEN
        RAISE EXCEPTION 'history cannot lie in the future'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'import_from_future', COLUMN = bad_column;
    END IF;

    EXECUTE format(
        'INSERT INTO %1$s (organization_id, %2$s)
         SELECT $2, %3$s
           FROM jsonb_array_elements($1) WITH ORDINALITY AS input (item, number)
          CROSS JOIN LATERAL jsonb_populate_record(NULL::%1$s, item) AS given
          ORDER BY number',
        target_table, column_list, value_list)
      USING p_rows, app.org_id();
    GET DIAGNOSTICS imported = ROW_COUNT;
    RETURN imported;
END
$$;
GRANT INSERT ON crm_companies, crm_contacts, crm_deals TO crm_definer;

SELECT app.seal_functions();
GRANT EXECUTE ON FUNCTION app.import_records(text, jsonb) TO crm_app;
