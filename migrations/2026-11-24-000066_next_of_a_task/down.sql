ALTER TABLE crm_tasks
    DROP CONSTRAINT crm_tasks_next_id_fkey,
    ADD CONSTRAINT crm_tasks_next_id_fkey FOREIGN KEY (organization_id, next_id)
        REFERENCES crm_tasks (organization_id, id) DEFERRABLE INITIALLY DEFERRED;

CREATE OR REPLACE FUNCTION app.purge_bin(p_org uuid, p_table regclass, p_before timestamptz, p_limit integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    unreferenced text := '';
    parts        text := '';
    child        record;
    purged       bigint;
BEGIN
    FOR child IN
        SELECT reference.conrelid::regclass AS relation,
               attribute.attname,
               (attribute.attnotnull OR attribute.attgenerated <> '') AND NOT EXISTS (
                   SELECT FROM pg_attribute
                    WHERE attrelid = reference.conrelid AND attname = 'deleted_at' AND NOT attisdropped) AS is_part,
               row_number() OVER () AS number
          FROM pg_constraint AS reference
          JOIN pg_attribute AS attribute ON attribute.attrelid = reference.conrelid AND attribute.attnum = reference.conkey[2]
         WHERE reference.contype = 'f' AND reference.confrelid = p_table AND cardinality(reference.conkey) = 2
         ORDER BY reference.conname
    LOOP
        IF child.is_part THEN
            parts := parts || format(
                ', part_%s AS (DELETE FROM %s AS part USING gone WHERE part.organization_id = $1 AND part.%I = gone.id)',
                child.number, child.relation, child.attname);
        ELSE
            unreferenced := unreferenced || format(
                ' AND NOT EXISTS (SELECT FROM %s AS child WHERE child.organization_id = record.organization_id AND child.%I = record.id)',
                child.relation, child.attname);
        END IF;
    END LOOP;

    EXECUTE format(
        'WITH gone AS (
             DELETE FROM %1$s
              WHERE organization_id = $1
                AND deleted_at < $2
                AND id IN (SELECT record.id FROM %1$s AS record
                            WHERE record.organization_id = $1 AND record.deleted_at < $2 %2$s
                            ORDER BY record.id LIMIT $3)
             RETURNING id
         )%3$s
         SELECT count(*) FROM gone', p_table, unreferenced, parts)
       INTO purged
      USING p_org, p_before, p_limit;
    RETURN purged;
END
$$;

SELECT app.seal_functions();
