-- Definitions of custom fields, and beside the records the values that are unique or kept in order.
--
-- What must stay true:
--   * crm_custom_values holds, of each field that is indexed or unique, one row for every record that has a value of the field's type:
--     statement-level triggers write it in the transaction of the change, and nobody else does but the steps of a build.
--   * A row counts only under the number that its field has now (`generation`). Turning an index or uniqueness on or off and converting
--     a type give the field another number, and so touch one row: what is left behind is cleared in steps.
--   * Whoever writes values reads definitions under the shared lock of the organisation, whoever changes what they mean takes it alone
--     (app.lock_custom_fields): nothing is judged by one definition and stored under another.
--   * app.custom_number_key and app.custom_text_key recognise the normal form of crm_kernel::custom, and nothing else.

-- ---------------------------------------------------------------- normal forms

-- Days since 1970 of a date as we write it; NULL for any other text, days that no month has among them.
CREATE FUNCTION app.custom_day(value text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE
        WHEN value !~ '^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$' OR value < '0001' THEN NULL
        WHEN substr(value, 9, 2)::integer > CASE substr(value, 6, 2)
                 WHEN '02' THEN CASE WHEN left(value, 4)::integer % 4 = 0
                                      AND (left(value, 4)::integer % 100 <> 0 OR left(value, 4)::integer % 400 = 0)
                                     THEN 29 ELSE 28 END
                 WHEN '04' THEN 30 WHEN '06' THEN 30 WHEN '09' THEN 30 WHEN '11' THEN 30
                 ELSE 31 END THEN NULL
        ELSE (make_date(left(value, 4)::integer, substr(value, 6, 2)::integer, substr(value, 9, 2)::integer) - make_date(1970, 1, 1))::bigint
    END
$$;

-- An exact number as we write it, in thousandths.
CREATE FUNCTION app.custom_thousandths(value jsonb) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN jsonb_typeof(value) = 'string'
                 AND value #>> '{}' ~ '^-?(0|[1-9][0-9]{0,14})\.[0-9]{2}[1-9]?$'
                 AND value #>> '{}' <> '-0.00'
                THEN ((value #>> '{}')::numeric * 1000)::bigint END
$$;

-- Where a value stands in the order of its type: the number, thousandths, days or microseconds since 1970. Types that are counted
-- otherwise have ranges of their own, so that statistics of the one column say something about each.
CREATE FUNCTION app.custom_number_key(p_type text, value jsonb) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE p_type
        WHEN 'integer' THEN
            CASE WHEN jsonb_typeof(value) = 'number' THEN
                CASE WHEN abs(value::numeric) <= 9007199254740991 AND value::numeric = trunc(value::numeric)
                     THEN value::numeric::bigint END
            END
        WHEN 'date' THEN CASE WHEN jsonb_typeof(value) = 'string' THEN 20000000000000000 + app.custom_day(value #>> '{}') END
        WHEN 'time' THEN
            CASE WHEN jsonb_typeof(value) = 'string'
                  AND value #>> '{}' ~ '^.{10}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{0,5}[1-9])?Z$'
                 THEN 600000000000000000 + app.custom_day(left(value #>> '{}', 10)) * 86400000000
                    + substr(value #>> '{}', 12, 2)::bigint * 3600000000
                    + substr(value #>> '{}', 15, 2)::bigint * 60000000
                    + (rtrim(substr(value #>> '{}', 18), 'Z')::numeric * 1000000)::bigint
            END
        WHEN 'decimal' THEN 3000000000000000000 + app.custom_thousandths(value)
        WHEN 'money' THEN 3000000000000000000 + app.custom_thousandths(value)
    END
$$;

-- The same for texts, which stand in the order of their letters, whatever the case.
CREATE FUNCTION app.custom_text_key(p_type text, value jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE
        WHEN p_type NOT IN ('text', 'url', 'email', 'choice') OR jsonb_typeof(value) <> 'string' OR length(value #>> '{}') > 500 THEN NULL
        ELSE lower(value #>> '{}')
    END
$$;

-- What may be there once: texts whatever their case, all else as it is written.
CREATE FUNCTION app.custom_unique_key(p_type text, value jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE
        WHEN p_type IN ('text', 'url', 'email', 'choice') THEN app.custom_text_key(p_type, value)
        WHEN p_type IN ('integer', 'decimal', 'money', 'date', 'time') THEN app.custom_number_key(p_type, value)::text
        WHEN p_type IN ('member', 'company', 'contact', 'deal') AND jsonb_typeof(value) = 'string' THEN left(value #>> '{}', 40)
    END
$$;

-- A list of options: each with a key, a label and perhaps a colour; keys are there once. The rules for people are the program's.
CREATE FUNCTION app.valid_options(options jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE
        WHEN jsonb_typeof(options) <> 'array' THEN false
        WHEN jsonb_array_length(options) > 200 OR octet_length(options::text) > 65536 THEN false
        ELSE NOT EXISTS (
                 SELECT FROM jsonb_array_elements(options) AS option
                  WHERE jsonb_typeof(option) <> 'object'
                     OR coalesce(option ->> 'key', '') !~ '^[a-z0-9][a-z0-9_-]{0,49}$'
                     OR coalesce(length(btrim(option ->> 'label')), 0) = 0)
             AND (SELECT count(DISTINCT option ->> 'key') FROM jsonb_array_elements(options) AS option) = jsonb_array_length(options)
    END
$$;

-- ---------------------------------------------------------------- definitions

CREATE TABLE crm_custom_fields (
    organization_id uuid         NOT NULL DEFAULT app.org_id(),
    id              uuid         NOT NULL DEFAULT app.uuid7(),
    entity          varchar(20)  NOT NULL,
    key             varchar(50)  NOT NULL,
    label           varchar(100) NOT NULL,
    help_text       varchar(500),
    field_type      varchar(20)  NOT NULL,
    options         jsonb        NOT NULL DEFAULT '[]',
    is_required     boolean      NOT NULL DEFAULT false,
    is_unique       boolean      NOT NULL DEFAULT false,
    is_indexed      boolean      NOT NULL DEFAULT false,
    default_value   jsonb,
    position        integer      NOT NULL DEFAULT 0,
    generation      integer      NOT NULL DEFAULT 1,
    retired_at      timestamptz,
    created_at      timestamptz  NOT NULL DEFAULT now(),
    updated_at      timestamptz  NOT NULL DEFAULT now(),
    version         integer      NOT NULL DEFAULT 1,
    created_by_id   uuid                  DEFAULT app.user_id(),
    CONSTRAINT crm_custom_fields_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT crm_custom_fields_key_unique UNIQUE (organization_id, entity, key),
    CONSTRAINT crm_custom_fields_entity_known CHECK (entity IN ('company', 'contact', 'deal')),
    CONSTRAINT crm_custom_fields_key_format CHECK (key ~ '^[a-z][a-z0-9_]{0,49}$'),
    CONSTRAINT crm_custom_fields_label_length CHECK (length(btrim(label)) > 0),
    CONSTRAINT crm_custom_fields_field_type_known CHECK (field_type IN (
        'text', 'long_text', 'integer', 'decimal', 'money', 'date', 'time', 'boolean', 'choice', 'choices', 'url', 'email',
        'member', 'company', 'contact', 'deal')),
    CONSTRAINT crm_custom_fields_options_list CHECK (app.valid_options(options)),
    CONSTRAINT crm_custom_fields_is_unique_type CHECK (NOT is_unique OR field_type NOT IN ('long_text', 'boolean', 'choices')),
    CONSTRAINT crm_custom_fields_is_indexed_type CHECK (NOT is_indexed OR field_type IN (
        'text', 'integer', 'decimal', 'money', 'date', 'time', 'choice', 'url', 'email')),
    CONSTRAINT crm_custom_fields_position_range CHECK (position BETWEEN 0 AND 100000),
    CONSTRAINT crm_custom_fields_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations (id),
    CONSTRAINT crm_custom_fields_created_by_id_fkey FOREIGN KEY (organization_id, created_by_id)
        REFERENCES memberships (organization_id, user_id)
);
-- The triggers of records ask at every write whether there is such a field at all.
CREATE INDEX crm_custom_fields_kept ON crm_custom_fields (organization_id, entity) WHERE is_indexed OR is_unique;

-- What is being done to the values of a field, or was last: its values are put in order (build), or become those of another type (convert).
-- No row: nothing ever had to be done.
CREATE TABLE crm_custom_field_work (
    organization_id uuid        NOT NULL,
    field_id        uuid        NOT NULL,
    task            varchar(10) NOT NULL,
    from_type       varchar(20),
    misfits         varchar(10),
    generation      integer     NOT NULL,
    after_id        uuid        NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    records         bigint      NOT NULL DEFAULT 0,
    converted       bigint      NOT NULL DEFAULT 0,
    misfitting      bigint      NOT NULL DEFAULT 0,
    has_duplicates  boolean     NOT NULL DEFAULT false,
    started_at      timestamptz NOT NULL DEFAULT now(),
    finished_at     timestamptz,
    CONSTRAINT crm_custom_field_work_pkey PRIMARY KEY (organization_id, field_id),
    CONSTRAINT crm_custom_field_work_task_known CHECK (task IN ('build', 'convert')),
    CONSTRAINT crm_custom_field_work_misfits_known CHECK (misfits IN ('keep', 'clear')),
    CONSTRAINT crm_custom_field_work_field_id_fkey FOREIGN KEY (organization_id, field_id)
        REFERENCES crm_custom_fields (organization_id, id)
);
CREATE INDEX crm_custom_field_work_open ON crm_custom_field_work (started_at) WHERE finished_at IS NULL;

-- No foreign key to the records: three tables stand behind one column, and nobody but the triggers below writes here.
CREATE TABLE crm_custom_values (
    organization_id uuid    NOT NULL,
    field_id        uuid    NOT NULL,
    generation      integer NOT NULL,
    record_id       uuid    NOT NULL,
    number_key      bigint,
    text_key        text COLLATE "C",
    unique_key      text COLLATE "C",
    CONSTRAINT crm_custom_values_pkey PRIMARY KEY (organization_id, field_id, generation, record_id),
    CONSTRAINT crm_custom_values_field_id_fkey FOREIGN KEY (organization_id, field_id)
        REFERENCES crm_custom_fields (organization_id, id)
);
CREATE UNIQUE INDEX crm_custom_values_unique ON crm_custom_values (organization_id, field_id, generation, unique_key)
    WHERE unique_key IS NOT NULL;
CREATE INDEX crm_custom_values_number ON crm_custom_values (organization_id, field_id, generation, number_key, record_id)
    WHERE number_key IS NOT NULL;
CREATE INDEX crm_custom_values_text ON crm_custom_values (organization_id, field_id, generation, text_key, record_id)
    WHERE text_key IS NOT NULL;

SELECT app.secure_table('crm_custom_fields', 'manager');
SELECT app.secure_table('crm_custom_field_work');
SELECT app.secure_table('crm_custom_values');
SELECT app.install_tracking('crm_custom_fields', 'custom_field', 'r.label', hidden => ARRAY['generation']);
SELECT app.install_query_view('crm_custom_fields', 'q_custom_fields');
SELECT app.install_query_view('crm_custom_field_work', 'q_custom_field_work');
SELECT app.install_query_view('crm_custom_values', 'q_custom_values');

GRANT SELECT,
      INSERT (id, entity, key, label, help_text, field_type, options, is_required, is_unique, is_indexed, default_value, position),
      UPDATE (label, help_text, options, is_required, is_unique, is_indexed, default_value, position, retired_at)
   ON crm_custom_fields TO crm_app;
GRANT SELECT ON crm_custom_field_work, crm_custom_values TO crm_app;
GRANT UPDATE ON crm_custom_fields TO crm_definer;
GRANT SELECT, INSERT, UPDATE, DELETE ON crm_custom_field_work, crm_custom_values TO crm_definer;
-- Conversions; and a step holds the records that it looks at.
GRANT UPDATE (custom_fields) ON crm_companies, crm_contacts, crm_deals TO crm_definer;

-- ---------------------------------------------------------------- one at a time

-- Held until the end of the transaction. 'read' by whoever writes values, 'change' by whoever changes what they mean; a change waits for
-- those who write at this moment, not for their records.
CREATE FUNCTION app.lock_custom_fields(p_org uuid, p_mode text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    place bigint := hashtextextended('crm_custom_fields ' || p_org, 0);
BEGIN
    IF p_mode = 'change' THEN
        PERFORM pg_advisory_xact_lock(place);
    ELSE
        PERFORM pg_advisory_xact_lock_shared(place);
    END IF;
END
$$;

-- The way of the program to it: its own organisation's, to read.
CREATE FUNCTION app.hold_custom_fields() RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM app.lock_custom_fields(app.org_id(), 'read');
    RETURN true;
END
$$;

-- ---------------------------------------------------------------- values, kept by the triggers of records

-- Puts the values of these records where they belong, of the fields that are kept; says the keys of those that another record has.
CREATE FUNCTION app.insert_custom_values(p_org uuid, p_entity text, p_records jsonb) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    taken text;
BEGIN
    -- In one order, so that two who write many wait for each other and do not deadlock. Whoever holds the same value in an open
    -- transaction is waited for.
    WITH wanted AS MATERIALIZED (
        SELECT field.id AS field_id, field.generation, field.key, (record ->> 'id')::uuid AS record_id,
               CASE WHEN field.is_indexed THEN app.custom_number_key(field.field_type, record -> 'custom_fields' -> field.key) END AS number_key,
               CASE WHEN field.is_indexed THEN app.custom_text_key(field.field_type, record -> 'custom_fields' -> field.key) END AS text_key,
               CASE WHEN field.is_unique AND (record ->> 'is_living')::boolean
                    THEN app.custom_unique_key(field.field_type, record -> 'custom_fields' -> field.key) END AS unique_key
          FROM public.crm_custom_fields AS field
         CROSS JOIN jsonb_array_elements(p_records) AS record
         WHERE field.organization_id = p_org
           AND field.entity = p_entity
           AND (field.is_indexed OR field.is_unique)
           AND record -> 'custom_fields' ? field.key
    ), inserted AS (
        INSERT INTO public.crm_custom_values (organization_id, field_id, generation, record_id, number_key, text_key, unique_key)
        SELECT p_org, field_id, generation, record_id, number_key, text_key, unique_key
          FROM wanted
         WHERE coalesce(number_key::text, text_key, unique_key) IS NOT NULL
         ORDER BY field_id, unique_key, record_id
        ON CONFLICT DO NOTHING
        RETURNING field_id, record_id
    )
    SELECT string_agg(DISTINCT wanted.key, ',' ORDER BY wanted.key)
      INTO taken
      FROM wanted
     WHERE wanted.unique_key IS NOT NULL
       AND NOT EXISTS (SELECT FROM inserted
                        WHERE inserted.field_id = wanted.field_id AND inserted.record_id = wanted.record_id);
    RETURN taken;
END
$$;

-- The trigger of a noun's table; its argument is what the log calls the noun. Under row-level security nobody but this writes values.
CREATE FUNCTION app.keep_custom_values() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    changed jsonb;
    owner   uuid;
    taken   text;
BEGIN
    -- A statement of a tenant has one organisation; purges and imports too.
    IF TG_OP = 'INSERT' THEN
        SELECT organization_id INTO owner FROM newtab LIMIT 1;
    ELSE
        SELECT organization_id INTO owner FROM oldtab LIMIT 1;
    END IF;
    IF owner IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM app.lock_custom_fields(owner, 'read');
    IF NOT EXISTS (SELECT FROM public.crm_custom_fields
                    WHERE organization_id = owner AND entity = TG_ARGV[0] AND (is_indexed OR is_unique))
    THEN
        RETURN NULL;
    END IF;

    IF TG_OP = 'INSERT' THEN
        SELECT jsonb_agg(jsonb_build_object('id', n.id, 'custom_fields', n.custom_fields, 'is_living', n.deleted_at IS NULL))
          INTO changed
          FROM newtab AS n
         WHERE n.custom_fields <> '{}';
    ELSIF TG_OP = 'UPDATE' THEN
        SELECT jsonb_agg(jsonb_build_object('id', n.id, 'custom_fields', n.custom_fields, 'is_living', n.deleted_at IS NULL))
          INTO changed
          FROM newtab AS n
          JOIN oldtab AS o ON o.organization_id = n.organization_id AND o.id = n.id
         WHERE n.custom_fields <> o.custom_fields OR (n.deleted_at IS NULL) <> (o.deleted_at IS NULL);
    ELSE
        SELECT jsonb_agg(jsonb_build_object('id', o.id)) INTO changed FROM oldtab AS o WHERE o.custom_fields <> '{}';
    END IF;
    IF changed IS NULL THEN
        RETURN NULL;
    END IF;

    IF TG_OP <> 'INSERT' THEN
        DELETE FROM public.crm_custom_values AS kept
         USING public.crm_custom_fields AS field, jsonb_array_elements(changed) AS record
         WHERE field.organization_id = owner
           AND field.entity = TG_ARGV[0]
           AND (field.is_indexed OR field.is_unique)
           AND kept.organization_id = owner
           AND kept.field_id = field.id
           AND kept.generation = field.generation
           AND kept.record_id = (record ->> 'id')::uuid;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        taken := app.insert_custom_values(owner, TG_ARGV[0], changed);
        IF taken IS NOT NULL THEN
            RAISE EXCEPTION 'another record has this value'
                USING ERRCODE = 'unique_violation', CONSTRAINT = 'custom_field_unique', COLUMN = taken, TABLE = TG_TABLE_NAME;
        END IF;
    END IF;
    RETURN NULL;
END
$$;

-- Before a statement holds any record, so that nobody who writes waits for whoever changes definitions and is waited for by them.
CREATE FUNCTION app.hold_custom_fields_first() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    -- Housekeeping is of no organisation; app.keep_custom_values holds what it needs.
    IF app.org_id() IS NOT NULL THEN
        PERFORM app.lock_custom_fields(app.org_id(), 'read');
    END IF;
    RETURN NULL;
END
$$;

-- For a noun that has custom fields; the entity is what its tracking calls it.
CREATE FUNCTION app.install_custom_values(target regclass, entity text) RETURNS void
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

-- ---------------------------------------------------------------- guards of definitions

-- Bounds, and what never changes. Another number for the field whenever what is kept of it changes its meaning.
CREATE FUNCTION app.guard_custom_field() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    most CONSTANT integer := 100;
BEGIN
    -- One after the other, and none while a record is being written: the rows that are counted and the values that are built are all.
    IF TG_OP = 'INSERT' OR ROW(NEW.field_type, NEW.is_indexed, NEW.is_unique, NEW.is_required, NEW.retired_at, NEW.options)
       IS DISTINCT FROM ROW(OLD.field_type, OLD.is_indexed, OLD.is_unique, OLD.is_required, OLD.retired_at, OLD.options)
    THEN
        PERFORM app.lock_custom_fields(NEW.organization_id, 'change');
    END IF;
    IF TG_OP = 'INSERT' OR (OLD.retired_at IS NOT NULL AND NEW.retired_at IS NULL) THEN
        IF most <= (SELECT count(*) FROM public.crm_custom_fields
                     WHERE organization_id = NEW.organization_id AND entity = NEW.entity AND retired_at IS NULL)
        THEN
            RAISE EXCEPTION 'at most % custom fields of one kind of record', most
                USING ERRCODE = 'check_violation', CONSTRAINT = 'too_many_custom_fields', COLUMN = 'entity', TABLE = TG_TABLE_NAME;
        END IF;
        IF 3 * most <= (SELECT count(*) FROM public.crm_custom_fields
                         WHERE organization_id = NEW.organization_id AND entity = NEW.entity AND TG_OP = 'INSERT')
        THEN
            RAISE EXCEPTION 'at most % custom fields of one kind of record, retired ones included', 3 * most
                USING ERRCODE = 'check_violation', CONSTRAINT = 'too_many_custom_fields', COLUMN = 'entity', TABLE = TG_TABLE_NAME;
        END IF;
    END IF;
    IF TG_OP = 'UPDATE' THEN
        IF NEW.retired_at IS NOT NULL AND OLD.retired_at IS NULL THEN
            NEW.retired_at := now();
            NEW.is_required := false;
            NEW.is_unique := false;
            NEW.is_indexed := false;
        END IF;
        IF ROW(NEW.field_type, NEW.is_indexed, NEW.is_unique) IS DISTINCT FROM ROW(OLD.field_type, OLD.is_indexed, OLD.is_unique) THEN
            NEW.generation := OLD.generation + 1;
        END IF;
    END IF;
    RETURN NEW;
END
$$;

-- Begins to build, when what is kept begins to be kept or changes. One step is done at once, so that small organisations never wait.
CREATE FUNCTION app.begin_custom_field_work() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.generation = OLD.generation THEN
        RETURN NULL;
    END IF;
    IF NOT (NEW.is_indexed OR NEW.is_unique) THEN
        UPDATE public.crm_custom_field_work
           SET finished_at = now(), generation = NEW.generation
         WHERE organization_id = NEW.organization_id AND field_id = NEW.id AND task = 'build';
        RETURN NULL;
    END IF;
    INSERT INTO public.crm_custom_field_work (organization_id, field_id, task, generation)
    VALUES (NEW.organization_id, NEW.id, 'build', NEW.generation)
    ON CONFLICT (organization_id, field_id) DO UPDATE
       SET task = 'build', from_type = NULL, misfits = NULL, generation = excluded.generation, after_id = excluded.after_id,
           records = 0, converted = 0, misfitting = 0, has_duplicates = false, started_at = now(), finished_at = NULL
     -- A conversion puts in order what it converts.
     WHERE crm_custom_field_work.task <> 'convert' OR crm_custom_field_work.finished_at IS NOT NULL;
    PERFORM app.custom_field_step(NEW.organization_id, NEW.id, 1000);
    RETURN NULL;
END
$$;

CREATE TRIGGER guard_20_custom_field BEFORE INSERT OR UPDATE ON crm_custom_fields
    FOR EACH ROW EXECUTE FUNCTION app.guard_custom_field();
CREATE TRIGGER begin_custom_field_work AFTER INSERT OR UPDATE ON crm_custom_fields
    FOR EACH ROW EXECUTE FUNCTION app.begin_custom_field_work();

-- ---------------------------------------------------------------- steps

-- One step of what is being done to a field: so many records in the order of their ids. Says how many there were; fewer than the limit
-- means done. The records of a step cannot be changed while it lasts, and it sees what was last written to them.
CREATE FUNCTION app.custom_field_step(p_org uuid, p_field uuid, p_limit integer) RETURNS bigint
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

-- Where a noun's records are.
CREATE FUNCTION app.custom_field_table(p_entity text) RETURNS regclass
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT CASE p_entity
        WHEN 'company' THEN 'public.crm_companies'::regclass
        WHEN 'contact' THEN 'public.crm_contacts'::regclass
        WHEN 'deal'    THEN 'public.crm_deals'::regclass
    END
$$;

-- The values of one field in these records, where they are not kept yet; says its key when another record has one that must be unique.
CREATE FUNCTION app.insert_missing_custom_values(p_field crm_custom_fields, p_records jsonb) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    missing jsonb;
BEGIN
    SELECT jsonb_agg(record)
      INTO missing
      FROM jsonb_array_elements(p_records) AS record
     WHERE NOT EXISTS (
           SELECT FROM public.crm_custom_values AS kept
            WHERE kept.organization_id = p_field.organization_id
              AND kept.field_id = p_field.id
              AND kept.generation = p_field.generation
              AND kept.record_id = (record ->> 'id')::uuid);
    IF missing IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN app.insert_custom_values(p_field.organization_id, p_field.entity, missing);
END
$$;

-- ---------------------------------------------------------------- another type

-- The value as one of another type, in its normal form; NULL when it does not fit.
CREATE FUNCTION app.custom_value_as(p_type text, p_options jsonb, value jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    words text[];
    said  text;
    plain text;
    keys  text[];
BEGIN
    words := CASE jsonb_typeof(value)
        WHEN 'array' THEN ARRAY(SELECT item #>> '{}' FROM jsonb_array_elements(value) AS item)
        WHEN 'object' THEN '{}'
        WHEN 'null' THEN '{}'
        ELSE ARRAY[value #>> '{}']
    END;
    said := array_to_string(words, ', ');
    plain := btrim(said);
    IF cardinality(words) = 0 OR plain = '' THEN
        RETURN NULL;
    END IF;
    CASE p_type
        WHEN 'text' THEN
            RETURN CASE WHEN length(said) <= 255 THEN to_jsonb(said) END;
        WHEN 'long_text' THEN
            RETURN CASE WHEN length(said) <= 10000 THEN to_jsonb(said) END;
        WHEN 'integer' THEN
            RETURN CASE WHEN plain ~ '^[+-]?[0-9]{1,16}(\.0{1,9})?$' THEN
                CASE WHEN abs(plain::numeric) <= 9007199254740991 THEN to_jsonb(plain::numeric::bigint) END
            END;
        WHEN 'decimal', 'money' THEN
            RETURN CASE WHEN plain ~ '^[+-]?[0-9]{1,15}(\.[0-9]{1,15})?$' THEN
                CASE WHEN scale(trim_scale(plain::numeric)) <= 3 THEN to_jsonb(app.exact_text(plain::numeric)) END
            END;
        WHEN 'date' THEN
            RETURN CASE WHEN app.custom_day(plain) IS NOT NULL THEN to_jsonb(plain)
                        WHEN app.custom_number_key('time', to_jsonb(plain)) IS NOT NULL THEN to_jsonb(left(plain, 10)) END;
        WHEN 'time' THEN
            RETURN CASE WHEN app.custom_day(plain) IS NOT NULL THEN to_jsonb(plain || 'T00:00:00Z')
                        WHEN app.custom_number_key('time', to_jsonb(plain)) IS NOT NULL THEN to_jsonb(plain) END;
        WHEN 'boolean' THEN
            RETURN CASE WHEN lower(plain) IN ('true', 'yes', '1') THEN 'true'::jsonb
                        WHEN lower(plain) IN ('false', 'no', '0') THEN 'false'::jsonb END;
        WHEN 'url' THEN
            RETURN CASE WHEN length(plain) <= 500 AND plain ~ '^https?://[^[:space:]/][^[:space:]]*$' THEN to_jsonb(plain) END;
        WHEN 'email' THEN
            RETURN CASE WHEN length(plain) <= 254
                         AND lower(plain) ~ '^[a-z0-9]+([._%+-][a-z0-9]+)*@([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,}$'
                        THEN to_jsonb(lower(plain)) END;
        WHEN 'choice', 'choices' THEN
            keys := ARRAY(
                SELECT option ->> 'key'
                  FROM jsonb_array_elements(p_options) WITH ORDINALITY AS known (option, place)
                 WHERE EXISTS (SELECT FROM unnest(words) AS word
                                WHERE word = option ->> 'key' OR lower(btrim(word)) = lower(btrim(option ->> 'label')))
                 ORDER BY place);
            IF cardinality(keys) <> cardinality(words) THEN
                RETURN NULL;
            END IF;
            RETURN CASE WHEN p_type = 'choices' THEN to_jsonb(keys)
                        WHEN cardinality(keys) = 1 THEN to_jsonb(keys[1]) END;
        ELSE
            RETURN NULL;
    END CASE;
END
$$;

-- Writes the values of these living records as those of the field's type. What does not fit is kept as it is, or cleared.
CREATE FUNCTION app.convert_custom_values(
    p_field   crm_custom_fields,
    p_records jsonb,
    p_misfits text,
    OUT fits bigint,
    OUT misfits bigint
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    changes jsonb;
BEGIN
    SELECT count(value), count(*) - count(value),
           jsonb_agg(jsonb_build_object('id', id, 'value', value))
               FILTER (WHERE value IS DISTINCT FROM before AND (value IS NOT NULL OR p_misfits = 'clear'))
      INTO fits, misfits, changes
      FROM (SELECT record ->> 'id' AS id, record -> 'custom_fields' -> p_field.key AS before,
                   app.custom_value_as(p_field.field_type, p_field.options, record -> 'custom_fields' -> p_field.key) AS value
              FROM jsonb_array_elements(p_records) AS record
             -- What lies in the bin cannot be changed; it comes back as it was.
             WHERE (record ->> 'is_living')::boolean) AS judged;
    IF changes IS NULL THEN
        RETURN;
    END IF;
    EXECUTE format(
        'UPDATE %s AS record
            SET custom_fields = CASE WHEN change.value IS NULL THEN record.custom_fields - $3
                                     ELSE record.custom_fields || jsonb_build_object($3, change.value) END
           FROM jsonb_to_recordset($2) AS change (id uuid, value jsonb)
          WHERE record.organization_id = $1 AND record.id = change.id', app.custom_field_table(p_field.entity))
      USING p_field.organization_id, changes, p_field.key;
END
$$;

-- The caller's own field, for owners and admins.
CREATE FUNCTION app.own_custom_field(p_field uuid) RETURNS crm_custom_fields
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    field public.crm_custom_fields;
BEGIN
    IF NOT app.is_manager() OR app.org_id() IS NULL THEN
        RAISE EXCEPTION 'only an owner or an admin may do this' USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'manager_only';
    END IF;
    SELECT * INTO field FROM public.crm_custom_fields WHERE organization_id = app.org_id() AND id = p_field;
    RETURN field;
END
$$;

-- What a conversion would find among the newest records: how many values fit, how many do not, and some of those.
CREATE FUNCTION app.custom_conversion_report(p_field uuid, p_type text, p_options jsonb, p_limit integer) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    field  public.crm_custom_fields := app.own_custom_field(p_field);
    report jsonb;
BEGIN
    EXECUTE format(
        'WITH newest AS MATERIALIZED (
             SELECT id, custom_fields -> $2 AS value FROM %s
              WHERE organization_id = $1 AND deleted_at IS NULL ORDER BY id DESC LIMIT $5
         ), judged AS MATERIALIZED (
             SELECT id, value, app.custom_value_as($3, $4, value) IS NOT NULL AS fits FROM newest WHERE value IS NOT NULL
         )
         SELECT jsonb_build_object(
                    ''records'', (SELECT count(*) FROM newest),
                    ''fits'', (SELECT count(*) FROM judged WHERE fits),
                    ''misfits'', (SELECT count(*) FROM judged WHERE NOT fits),
                    ''sample'', coalesce((SELECT jsonb_agg(jsonb_build_object(''id'', id, ''value'', left(value #>> ''{}'', 100)) ORDER BY id DESC)
                                          FROM (SELECT * FROM judged WHERE NOT fits ORDER BY id DESC LIMIT 20) AS shown), ''[]''))',
        app.custom_field_table(field.entity))
       INTO report
      USING app.org_id(), field.key, p_type, p_options, p_limit;
    RETURN report;
END
$$;

-- Makes a field one of another type, from this moment on for what is written; what is stored follows in steps, the first at once. What
-- the database cannot keep of the new type is no longer kept.
CREATE FUNCTION app.convert_custom_field(p_field uuid, p_type text, p_options jsonb, p_misfits text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    field public.crm_custom_fields := app.own_custom_field(p_field);
    now_number integer;
BEGIN
    PERFORM app.lock_custom_fields(field.organization_id, 'change');
    IF EXISTS (SELECT FROM public.crm_custom_field_work
                WHERE organization_id = field.organization_id AND field_id = p_field AND finished_at IS NULL)
    THEN
        RAISE EXCEPTION 'something is being done to this field already'
            USING ERRCODE = 'unique_violation', CONSTRAINT = 'custom_field_busy', COLUMN = 'field_type';
    END IF;
    INSERT INTO public.crm_custom_field_work (organization_id, field_id, task, from_type, misfits, generation)
    VALUES (field.organization_id, p_field, 'convert', field.field_type, p_misfits, field.generation)
    ON CONFLICT (organization_id, field_id) DO UPDATE
       SET task = 'convert', from_type = excluded.from_type, misfits = excluded.misfits, after_id = excluded.after_id,
           records = 0, converted = 0, misfitting = 0, has_duplicates = false, started_at = now(), finished_at = NULL;
    UPDATE public.crm_custom_fields
       SET field_type = p_type,
           options = p_options,
           is_indexed = is_indexed AND p_type IN ('text', 'integer', 'decimal', 'money', 'date', 'time', 'choice', 'url', 'email'),
           default_value = CASE WHEN default_value IS NOT NULL THEN app.custom_value_as(p_type, p_options, default_value) END
     WHERE organization_id = field.organization_id AND id = p_field
    RETURNING generation INTO now_number;
    UPDATE public.crm_custom_field_work SET generation = now_number
     WHERE organization_id = field.organization_id AND field_id = p_field;
    PERFORM app.custom_field_step(field.organization_id, p_field, 1000);
    RETURN true;
END
$$;

-- ---------------------------------------------------------------- the job

-- A part of whatever there is to do, for any organisation: a step of one field, of any, so that one that fails keeps nobody waiting; then what was left behind under
-- numbers that no longer count. Says how much; nothing means that all is done.
CREATE FUNCTION app.custom_field_work(p_limit integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    next record;
    done bigint;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('app.custom_field_work')) THEN
        RETURN 0;
    END IF;
    SELECT organization_id, field_id INTO next
      FROM public.crm_custom_field_work WHERE finished_at IS NULL ORDER BY random() LIMIT 1;
    IF next IS NOT NULL THEN
        RETURN 1 + app.custom_field_step(next.organization_id, next.field_id, p_limit);
    END IF;
    -- Every field that was ever changed has a row of work; those are few, and each is asked once.
    DELETE FROM public.crm_custom_values AS old
     USING (SELECT kept.organization_id, kept.field_id, kept.generation, kept.record_id
              FROM public.crm_custom_field_work AS work
              JOIN public.crm_custom_fields AS field ON field.organization_id = work.organization_id AND field.id = work.field_id
              JOIN public.crm_custom_values AS kept
                ON kept.organization_id = field.organization_id AND kept.field_id = field.id AND kept.generation < field.generation
             LIMIT p_limit) AS outdated
     WHERE old.organization_id = outdated.organization_id
       AND old.field_id = outdated.field_id
       AND old.generation = outdated.generation
       AND old.record_id = outdated.record_id;
    GET DIAGNOSTICS done = ROW_COUNT;
    RETURN done;
END
$$;

SELECT app.install_custom_values('crm_companies', 'company');
SELECT app.install_custom_values('crm_contacts', 'contact');
SELECT app.install_custom_values('crm_deals', 'deal');

SELECT app.seal_functions();
GRANT EXECUTE ON FUNCTION app.custom_day(text), app.custom_thousandths(jsonb), app.custom_number_key(text, jsonb),
                          app.valid_options(jsonb), app.hold_custom_fields()
   TO crm_app, crm_definer;
GRANT EXECUTE ON FUNCTION app.custom_field_work(integer), app.custom_conversion_report(uuid, text, jsonb, integer),
                          app.convert_custom_field(uuid, text, jsonb, text)
   TO crm_app;
