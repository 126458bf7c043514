-- The platform: roles, schemas, request context, ids, the wall (app.secure_table), organisations and people.
--
-- What must stay true:
--   * crm_app owns nothing, creates nothing and bypasses nothing; crm_definer and crm_owner are never logged in as.
--   * Policies read the context through app.org_id(), app.user_id() and app.role() alone, as bare calls: no sub-selects
--     and no RESTRICTIVE policies, because neither survives distribution over a cluster (one of them fails without an
--     error).
--   * Roles belong to the cluster, not to this database: they are created only when absent and no down script drops
--     them.
--   * The installing role need not be a superuser: a role that owns the database and has CREATEROLE is enough.

-- ---------------------------------------------------------------- roles

DO $$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT *
          FROM (VALUES
              ('crm_owner',   'NOLOGIN', false),  -- owns the tables, and is subject to row-level security because it is forced
              ('crm_definer', 'NOLOGIN', true),   -- owns triggers, definer functions and the q_ views
              ('crm_app',     'LOGIN',   false),  -- the API
              ('crm_worker',  'LOGIN',   false)   -- relays and jobs
          ) AS role (name, login, bypass_wished)
    LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = wanted.name);
        BEGIN
            IF wanted.bypass_wished THEN
                BEGIN
                    EXECUTE format('CREATE ROLE %I %s BYPASSRLS', wanted.name, wanted.login);
                EXCEPTION WHEN insufficient_privilege THEN
                    -- Managed services do not grant BYPASSRLS. The definer_all policies give the same rows and the same
                    -- plans.
                    RAISE NOTICE 'crm_definer gets no BYPASSRLS from this installer: the definer_all policies are used instead';
                    EXECUTE format('CREATE ROLE %I %s', wanted.name, wanted.login);
                END;
            ELSE
                EXECUTE format('CREATE ROLE %I %s', wanted.name, wanted.login);
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;  -- another database of this cluster was being migrated at the same moment and made it first
        END;
    END LOOP;
END
$$;

-- Handing an object to a role needs the right to become it. A superuser has that; anybody else must be given it, and
-- since PostgreSQL 16 the creator of a role may grant itself SET and INHERIT but does not start with them.
DO $$
DECLARE
    owner_role text;
    is_member  boolean;
    since_16   boolean := current_setting('server_version_num')::integer >= 160000;
BEGIN
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        RETURN;
    END IF;
    FOREACH owner_role IN ARRAY ARRAY['crm_owner', 'crm_definer'] LOOP
        IF since_16 THEN
            EXECUTE 'SELECT pg_has_role($1, ''SET'') AND pg_has_role($1, ''USAGE'')' INTO is_member USING owner_role;
            IF NOT is_member THEN
                EXECUTE format('GRANT %I TO %I WITH INHERIT TRUE, SET TRUE', owner_role, current_user);
            END IF;
        ELSIF NOT pg_has_role(owner_role, 'USAGE') THEN
            EXECUTE format('GRANT %I TO %I', owner_role, current_user);
        END IF;
    END LOOP;
END
$$;

-- The timeouts also protect the feed: a transaction that idles holds back everything that was written after it began.
DO $$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT *
          FROM (VALUES
              ('crm_app',    'statement_timeout',                   '10s'),
              ('crm_app',    'lock_timeout',                        '3s'),
              ('crm_app',    'idle_in_transaction_session_timeout', '15s'),
              ('crm_app',    'lc_messages',                         'C'),  -- some refusals are known by their text alone
              ('crm_worker', 'statement_timeout',                   '60s'),
              ('crm_worker', 'lock_timeout',                        '5s'),
              ('crm_worker', 'idle_in_transaction_session_timeout', '60s')
          ) AS setting (role_name, name, value)
    LOOP
        -- Only what is missing: two databases of one cluster that set the same role at once make one of them fail.
        CONTINUE WHEN EXISTS (
            SELECT FROM pg_roles
             WHERE rolname = wanted.role_name
               AND wanted.name || '=' || wanted.value = ANY (rolconfig));
        BEGIN
            EXECUTE format('ALTER ROLE %I SET %I = %L', wanted.role_name, wanted.name, wanted.value);
        EXCEPTION
            WHEN insufficient_privilege THEN
                RAISE WARNING 'this installer may not set % of %: have an administrator do it', wanted.name, wanted.role_name;
            WHEN internal_error THEN
                NULL;  -- "tuple concurrently updated": the other migration sets the same value
        END;
    END LOOP;
END
$$;

-- Temporary objects and functions of one's own could look behind the q_ views (a cheap function in WHERE is evaluated
-- before the organisation test), so nobody gets them.
DO $$
BEGIN
    EXECUTE format('REVOKE TEMPORARY, CREATE ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO crm_app, crm_worker', current_database());
END
$$;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

-- ---------------------------------------------------------------- schemas

GRANT CREATE, USAGE ON SCHEMA public TO crm_owner, crm_definer;
GRANT USAGE ON SCHEMA public TO crm_app, crm_worker;

CREATE SCHEMA app AUTHORIZATION crm_owner;
GRANT CREATE, USAGE ON SCHEMA app TO crm_definer;
GRANT USAGE ON SCHEMA app TO crm_app, crm_worker;

-- btree_gin lets the facet indexes begin with organization_id. It is a trusted extension: no superuser needed.
CREATE EXTENSION IF NOT EXISTS btree_gin WITH SCHEMA public;

-- ---------------------------------------------------------------- ids

-- A version 7 id of a given moment: imported history gets ids that sort where its time says.
CREATE FUNCTION app.uuid7_at(moment timestamptz) RETURNS uuid
LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$
    SELECT encode(
               set_bit(
                   set_bit(
                       overlay(uuid_send(gen_random_uuid())
                               PLACING substring(int8send((extract(epoch FROM moment) * 1000)::bigint) FROM 3)
                               FROM 1 FOR 6),
                       52, 1),
                   53, 1),
               'hex')::uuid
$$;

-- Native on 18, where it also counts up within a millisecond; the same layout built by hand before.
DO $$
BEGIN
    IF current_setting('server_version_num')::integer >= 180000 THEN
        CREATE FUNCTION app.uuid7() RETURNS uuid
        LANGUAGE sql VOLATILE PARALLEL SAFE
        AS 'SELECT pg_catalog.uuidv7()';
    ELSE
        CREATE FUNCTION app.uuid7() RETURNS uuid
        LANGUAGE sql VOLATILE PARALLEL SAFE
        AS 'SELECT app.uuid7_at(clock_timestamp())';
    END IF;
END
$$;

-- ---------------------------------------------------------------- request context

-- What app.begin_request has set for this transaction. Without it everything is NULL: reads give no rows, writes fail.
CREATE FUNCTION app.context(name text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT nullif(current_setting('app.' || name, true), '') $$;

CREATE FUNCTION app.org_id() RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT nullif(current_setting('app.org_id', true), '')::uuid $$;

CREATE FUNCTION app.user_id() RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT nullif(current_setting('app.user_id', true), '')::uuid $$;

CREATE FUNCTION app.role() RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT nullif(current_setting('app.role', true), '') $$;

CREATE FUNCTION app.is_manager() RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT coalesce(current_setting('app.role', true) IN ('owner', 'admin'), false) $$;

-- ---------------------------------------------------------------- the wall

-- Hands a table to crm_owner, forces row-level security and writes its policies. Every table of a tenant goes through
-- here.
--   writers      'none':    crm_app reads, others write (triggers, definer functions)
--                'manager': owner and admin write
--                'member':  members too; with own_columns they change only rows in which one of these names them
--   org_column   differs for organizations alone, whose organisation is its own id.
-- Policies are not grants: crm_app can do what both allow.
CREATE FUNCTION app.secure_table(
    target      regclass,
    writers     text    DEFAULT 'none',
    own_columns text[]  DEFAULT '{}',
    deletable   boolean DEFAULT false,
    org_column  text    DEFAULT 'organization_id'
) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    in_org  text := format('%I = app.org_id()', org_column);
    insert_test text;
    change_test text;
    own_test    text;
    existing    record;
BEGIN
    IF writers NOT IN ('none', 'manager', 'member') THEN
        RAISE EXCEPTION 'secure_table: unknown writers %', writers;
    END IF;

    IF writers = 'manager' THEN
        insert_test := 'app.role() IN (''owner'', ''admin'')';
        change_test := insert_test;
    ELSE
        insert_test := 'app.role() IN (''owner'', ''admin'', ''member'')';
        SELECT string_agg(format('%I = app.user_id()', own_column), ' OR ')
          INTO own_test
          FROM unnest(own_columns) AS own_column;
        change_test := CASE
            WHEN own_test IS NULL THEN insert_test
            ELSE format('(app.role() IN (''owner'', ''admin'') OR (app.role() = ''member'' AND (%s)))', own_test)
        END;
    END IF;

    FOR existing IN SELECT polname FROM pg_policy WHERE polrelid = target LOOP
        EXECUTE format('DROP POLICY %I ON %s', existing.polname, target);
    END LOOP;

    EXECUTE format('ALTER TABLE %s OWNER TO crm_owner', target);
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);

    -- Takes effect only where crm_definer could not be given BYPASSRLS.
    EXECUTE format('CREATE POLICY definer_all ON %s TO crm_definer USING (true) WITH CHECK (true)', target);

    -- Deleted rows stay visible to the policy: hiding them here would make the UPDATE that soft-deletes a row fail.
    EXECUTE format(
        'CREATE POLICY org_read ON %s FOR SELECT TO crm_app USING (%s AND app.role() IS NOT NULL)',
        target, in_org);

    IF writers <> 'none' THEN
        EXECUTE format(
            'CREATE POLICY org_insert ON %s FOR INSERT TO crm_app WITH CHECK (%s AND %s)',
            target, in_org, insert_test);
        -- The new row is tested for organisation and role only, so that a member can hand a record over.
        EXECUTE format(
            'CREATE POLICY org_update ON %s FOR UPDATE TO crm_app USING (%s AND %s) WITH CHECK (%s AND %s)',
            target, in_org, change_test, in_org, insert_test);
        IF deletable THEN
            EXECUTE format(
                'CREATE POLICY org_delete ON %s FOR DELETE TO crm_app USING (%s AND %s)',
                target, in_org, change_test);
        END IF;
    END IF;

    EXECUTE format('GRANT SELECT ON %s TO crm_definer', target);
END
$$;

-- Makes, or brings up to date after ADD COLUMN, the q_ view of a table. A plain view owned by crm_definer: the
-- organisation test is an ordinary condition in it, so that operators which are not leakproof (jsonb, numeric, ILIKE)
-- can use indexes.
CREATE FUNCTION app.install_query_view(target regclass, view_name text) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    EXECUTE format(
        'CREATE OR REPLACE VIEW public.%I AS SELECT * FROM %s WHERE organization_id = app.org_id() AND app.role() IS NOT NULL',
        view_name, target);
    EXECUTE format('ALTER VIEW public.%I OWNER TO crm_definer', view_name);
    EXECUTE format('GRANT SELECT ON public.%I TO crm_app', view_name);
END
$$;

-- Texts in lower case as this database writes them into its key columns; another program's idea of lower case differs in some
-- letters (final sigma, the Turkish I).
CREATE FUNCTION app.lower_all(texts text[]) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT coalesce(array_agg(lower(item)), '{}') FROM unnest(texts) AS item $$;

-- Last statement of every migration that makes functions: they go to crm_definer (unless they were given to crm_owner),
-- and may be called by crm_owner and by those they are granted to, not by everybody. Not ALTER DEFAULT PRIVILEGES: that
-- would also take the functions of extensions from everybody.
CREATE FUNCTION app.seal_functions() RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    unsealed record;
BEGIN
    FOR unsealed IN
        SELECT procedure.oid::regprocedure AS signature,
               pg_get_userbyid(procedure.proowner) AS owner_name
          FROM pg_proc AS procedure
          JOIN pg_namespace AS namespace ON namespace.oid = procedure.pronamespace
         WHERE namespace.nspname IN ('app', 'identity')
    LOOP
        IF unsealed.owner_name NOT IN ('crm_owner', 'crm_definer') THEN
            EXECUTE format('ALTER FUNCTION %s OWNER TO crm_definer', unsealed.signature);
        END IF;
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', unsealed.signature);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO crm_owner', unsealed.signature);
    END LOOP;
END
$$;

-- ---------------------------------------------------------------- organisations and people

CREATE TABLE organizations (
    id               uuid         NOT NULL DEFAULT app.uuid7(),
    name             varchar(255) NOT NULL,
    slug             varchar(100) NOT NULL,
    country          varchar(2),
    default_currency varchar(3)   NOT NULL DEFAULT 'USD',
    time_zone        varchar(64)  NOT NULL DEFAULT 'UTC',
    settings         jsonb        NOT NULL DEFAULT '{}',  -- no secrets in here: it is read by members and written to the log
    created_at       timestamptz  NOT NULL DEFAULT now(),
    updated_at       timestamptz  NOT NULL DEFAULT now(),
    deleted_at       timestamptz,
    version          integer      NOT NULL DEFAULT 1,
    CONSTRAINT organizations_pkey PRIMARY KEY (id),
    CONSTRAINT organizations_slug_key UNIQUE (slug),
    CONSTRAINT organizations_name_length CHECK (length(btrim(name)) > 0),
    CONSTRAINT organizations_slug_lower CHECK (slug = lower(slug)),
    CONSTRAINT organizations_slug_length CHECK (length(btrim(slug)) > 0),
    CONSTRAINT organizations_country_format CHECK (country ~ '^[A-Z]{2}$'),
    CONSTRAINT organizations_default_currency_format CHECK (default_currency ~ '^[A-Z]{3}$'),
    CONSTRAINT organizations_settings_object
        CHECK (jsonb_typeof(settings) = 'object' AND octet_length(settings::text) <= 65536)
);

-- A person, in no organisation until a membership says so. Not tracked: the log belongs to organisations, and crm_app
-- can neither read nor write here. People are read through q_members.
CREATE TABLE users (
    id         uuid         NOT NULL DEFAULT app.uuid7(),
    email      varchar(255) NOT NULL,
    full_name  varchar(255) NOT NULL DEFAULT '',
    time_zone  varchar(64)  NOT NULL DEFAULT 'UTC',
    locale     varchar(35)  NOT NULL DEFAULT 'en',
    created_at timestamptz  NOT NULL DEFAULT now(),
    updated_at timestamptz  NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    CONSTRAINT users_pkey PRIMARY KEY (id),
    CONSTRAINT users_email_key UNIQUE (email),
    CONSTRAINT users_email_lower CHECK (email = lower(email)),
    CONSTRAINT users_email_length CHECK (length(btrim(email)) > 0)
);

CREATE TABLE teams (
    organization_id uuid         NOT NULL DEFAULT app.org_id(),
    id              uuid         NOT NULL DEFAULT app.uuid7(),
    name            varchar(255) NOT NULL,
    manager_id      uuid,
    created_at      timestamptz  NOT NULL DEFAULT now(),
    updated_at      timestamptz  NOT NULL DEFAULT now(),
    deleted_at      timestamptz,
    version         integer      NOT NULL DEFAULT 1,
    CONSTRAINT teams_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT teams_name_length CHECK (length(btrim(name)) > 0),
    CONSTRAINT teams_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations (id)
);

-- Everything that names a person (owner_id, created_by_id, …) points here, so an owner is always of the same
-- organisation. Hence a member who leaves is marked 'removed', never deleted.
CREATE TABLE memberships (
    organization_id uuid        NOT NULL,
    user_id         uuid        NOT NULL,
    role            varchar(20) NOT NULL,
    status          varchar(20) NOT NULL DEFAULT 'active',
    title           varchar(100),
    manager_id      uuid,
    team_id         uuid,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    version         integer     NOT NULL DEFAULT 1,
    CONSTRAINT memberships_pkey PRIMARY KEY (organization_id, user_id),
    CONSTRAINT memberships_role_known CHECK (role IN ('owner', 'admin', 'member', 'viewer')),
    CONSTRAINT memberships_status_known CHECK (status IN ('active', 'suspended', 'removed')),
    CONSTRAINT memberships_manager_id_other CHECK (manager_id <> user_id),
    CONSTRAINT memberships_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations (id),
    CONSTRAINT memberships_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id),
    CONSTRAINT memberships_manager_id_fkey FOREIGN KEY (organization_id, manager_id)
        REFERENCES memberships (organization_id, user_id),
    CONSTRAINT memberships_team_id_fkey FOREIGN KEY (organization_id, team_id) REFERENCES teams (organization_id, id)
);
CREATE INDEX memberships_user ON memberships (user_id);
CREATE INDEX memberships_team ON memberships (organization_id, team_id) WHERE team_id IS NOT NULL;

ALTER TABLE teams
    ADD CONSTRAINT teams_manager_id_fkey FOREIGN KEY (organization_id, manager_id)
        REFERENCES memberships (organization_id, user_id);

SELECT app.secure_table('organizations', org_column => 'id');
SELECT app.secure_table('teams');
SELECT app.secure_table('memberships');

-- users has no organisation, so it has no policy for crm_app at all: only definer functions and q_members reach it.
ALTER TABLE users OWNER TO crm_owner;
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE users FORCE ROW LEVEL SECURITY;
CREATE POLICY definer_all ON users TO crm_definer USING (true) WITH CHECK (true);

GRANT SELECT ON organizations, teams, memberships TO crm_app;
GRANT SELECT, INSERT, UPDATE ON organizations, users, teams, memberships TO crm_definer;

CREATE VIEW q_members AS
SELECT membership.organization_id,
       membership.user_id,
       person.email,
       person.full_name,
       membership.role,
       membership.status,
       membership.title,
       membership.manager_id,
       membership.team_id,
       team.name AS team_name,
       person.time_zone,
       person.locale,
       membership.created_at
  FROM memberships AS membership
  JOIN users AS person
    ON person.id = membership.user_id
  LEFT JOIN teams AS team
    ON team.organization_id = membership.organization_id
   AND team.id = membership.team_id
 WHERE membership.organization_id = app.org_id()
   AND app.role() IS NOT NULL;
ALTER VIEW q_members OWNER TO crm_definer;
GRANT SELECT ON q_members TO crm_app;

-- The start-up check compares the migrations it knows with those that ran. The table is there when the migration
-- harness runs this.
DO $$
BEGIN
    IF to_regclass('public.__diesel_schema_migrations') IS NOT NULL THEN
        GRANT SELECT ON public.__diesel_schema_migrations TO crm_app;
    END IF;
END
$$;

SELECT app.seal_functions();
GRANT EXECUTE ON FUNCTION app.uuid7(), app.org_id(), app.user_id(), app.role(), app.is_manager()
    TO crm_app, crm_worker, crm_definer;
GRANT EXECUTE ON FUNCTION app.uuid7_at(timestamptz) TO crm_definer, crm_app, crm_worker;  -- uuid7() is built on it before 18
GRANT EXECUTE ON FUNCTION app.context(text) TO crm_definer;
GRANT EXECUTE ON FUNCTION app.lower_all(text[]) TO crm_app;
