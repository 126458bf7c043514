-- What companies, contacts and deals share: small checks on values, JSON Merge Patch, and the guards of a record's life
-- (its id, its owner, deleting and restoring it).
--
-- What must stay true:
--   * Every refusal has a constraint name, and a column where one is at fault: these names are what the program reads.
--   * Guards run in the order of their trigger names: guard_10, guard_20, …, then touch, which must come last.

-- ---------------------------------------------------------------- values

-- At most 50 tags, each a string of at most 100 characters.
CREATE FUNCTION app.valid_tags(tags jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE
        WHEN jsonb_typeof(tags) <> 'array' THEN false
        WHEN jsonb_array_length(tags) > 50 THEN false
        ELSE NOT EXISTS (
            SELECT FROM jsonb_array_elements(tags) AS tag
             WHERE jsonb_typeof(tag) <> 'string' OR length(tag #>> '{}') NOT BETWEEN 1 AND 100)
    END
$$;

-- An object of bounded size; 64 KiB is far more than a form can hold and far less than a row can.
CREATE FUNCTION app.valid_object(value jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT jsonb_typeof(value) = 'object' AND octet_length(value::text) <= 65536 $$;

-- JSON Merge Patch, RFC 7396. Two cases the RFC does not know: no patch (SQL NULL) changes nothing, and a patch of JSON
-- null, which would make the whole document null, gives SQL NULL.
CREATE FUNCTION app.merge_patch(target jsonb, patch jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    result jsonb;
    member record;
BEGIN
    IF patch IS NULL THEN
        RETURN target;
    ELSIF jsonb_typeof(patch) = 'null' THEN
        RETURN NULL;
    ELSIF jsonb_typeof(patch) <> 'object' THEN
        RETURN patch;
    END IF;

    result := CASE WHEN jsonb_typeof(target) = 'object' THEN target ELSE '{}' END;
    FOR member IN SELECT key, value FROM jsonb_each(patch) LOOP
        IF jsonb_typeof(member.value) = 'null' THEN
            result := result - member.key;
        ELSE
            result := result || jsonb_build_object(member.key, app.merge_patch(result -> member.key, member.value));
        END IF;
    END LOOP;
    RETURN result;
END
$$;

-- ---------------------------------------------------------------- guards

-- Of every record: its id on insert; deleting, restoring and the owner on update.
CREATE FUNCTION app.guard_record() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    id_text      text;
    id_moment    bigint;
    owner_status text;
BEGIN
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
    IF NEW.owner_id IS DISTINCT FROM app.user_id()
       AND (TG_OP = 'INSERT' OR NEW.owner_id IS DISTINCT FROM OLD.owner_id)
    THEN
        SELECT status
          INTO owner_status
          FROM public.memberships
         WHERE organization_id = NEW.organization_id AND user_id = NEW.owner_id;
        IF NEW.owner_id IS NOT NULL AND owner_status IS NULL THEN
            RAISE EXCEPTION 'no such member'
                USING ERRCODE = 'foreign_key_violation', CONSTRAINT = TG_TABLE_NAME || '_owner_id_fkey',
                      COLUMN = 'owner_id', TABLE = TG_TABLE_NAME;
        ELSIF owner_status <> 'active' THEN
            RAISE EXCEPTION 'the owner is not an active member'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'owner_not_active', COLUMN = 'owner_id',
                      TABLE = TG_TABLE_NAME;
        END IF;
    END IF;
    RETURN NEW;
END
$$;

-- Refuses a reference to a deleted record. The guards call it when the reference is new; an old one stays when its
-- parent is deleted. A parent of another organisation is not found here, and then refused by the foreign key exactly
-- like one that never was.
CREATE FUNCTION app.refuse_deleted_parent(
    p_org       uuid,
    p_parent    regclass,
    p_parent_id uuid,
    p_column    text
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    is_deleted boolean;
BEGIN
    IF p_parent_id IS NULL THEN
        RETURN;
    END IF;
    EXECUTE format('SELECT deleted_at IS NOT NULL FROM %s WHERE organization_id = $1 AND id = $2', p_parent)
       INTO is_deleted
      USING p_org, p_parent_id;
    IF is_deleted THEN
        RAISE EXCEPTION 'nothing can be attached to a deleted record'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'parent_deleted', COLUMN = p_column;
    END IF;
END
$$;

-- The same, and the parent must exist: the foreign key would say so too, but only after the unique indexes have spoken, and
-- callers are promised that a bad reference is named before a collision. Not for a reference within one table, whose rows
-- may arrive in any order within one statement.
CREATE FUNCTION app.require_parent(
    p_org       uuid,
    p_child     text,
    p_parent    regclass,
    p_parent_id uuid,
    p_column    text
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    is_there boolean;
BEGIN
    IF p_parent_id IS NULL THEN
        RETURN;
    END IF;
    PERFORM app.refuse_deleted_parent(p_org, p_parent, p_parent_id, p_column);
    EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE organization_id = $1 AND id = $2)', p_parent)
       INTO is_there
      USING p_org, p_parent_id;
    IF NOT is_there THEN
        RAISE EXCEPTION 'no such record'
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = format('%s_%s_fkey', p_child, p_column),
                  COLUMN = p_column, TABLE = p_child;
    END IF;
END
$$;

-- Of rows that belong to a record (line items, roles of contacts): arguments are the record's table and the column that
-- names it. A member may write them where it may write the record; policies cannot say so without a sub-select.
CREATE FUNCTION app.guard_child() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    parent_table  regclass := format('public.%I', TG_ARGV[0])::regclass;
    parent_column text := TG_ARGV[1];
    child         record;
    parent_id     uuid;
    old_parent_id uuid;
    is_own        boolean;
BEGIN
    IF TG_OP = 'DELETE' THEN
        child := OLD;
    ELSE
        child := NEW;
        parent_id := (to_jsonb(NEW) ->> parent_column)::uuid;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        old_parent_id := (to_jsonb(OLD) ->> parent_column)::uuid;
    END IF;

    IF app.role() = 'member' THEN
        EXECUTE format(
            'SELECT bool_and(coalesce(owner_id = $2 OR created_by_id = $2, false)) FROM %s
              WHERE organization_id = $1 AND id IN ($3, $4)', parent_table)
           INTO is_own
          USING child.organization_id, app.user_id(), parent_id, old_parent_id;
        IF NOT is_own THEN  -- no such parent: the foreign key's to refuse
            RAISE EXCEPTION 'the record this belongs to is not yours'
                USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'parent_not_yours', COLUMN = parent_column,
                      TABLE = TG_TABLE_NAME;
        END IF;
    END IF;

    IF TG_OP <> 'DELETE' AND parent_id IS DISTINCT FROM old_parent_id THEN
        PERFORM app.refuse_deleted_parent(NEW.organization_id, parent_table, parent_id, parent_column);
    END IF;
    RETURN child;
END
$$;

SELECT app.seal_functions();
GRANT EXECUTE ON FUNCTION app.valid_tags(jsonb), app.valid_object(jsonb), app.merge_patch(jsonb, jsonb)
    TO crm_app, crm_definer;
