-- Takes the platform away. Schemas are dropped without CASCADE: whatever a later migration forgot to drop stops this
-- one. The roles stay: other databases of the cluster use them.
DO $$
BEGIN
    IF to_regclass('public.__diesel_schema_migrations') IS NOT NULL THEN
        REVOKE SELECT ON public.__diesel_schema_migrations FROM crm_app;
    END IF;
END
$$;

DROP VIEW q_members;
ALTER TABLE teams DROP CONSTRAINT teams_manager_id_fkey;
DROP TABLE memberships;
DROP TABLE teams;
DROP TABLE users;
DROP TABLE organizations;

DROP FUNCTION app.seal_functions();
DROP FUNCTION app.lower_all(text[]);
DROP FUNCTION app.install_query_view(regclass, text);
DROP FUNCTION app.secure_table(regclass, text, text[], boolean, text);
DROP FUNCTION app.is_manager();
DROP FUNCTION app.role();
DROP FUNCTION app.user_id();
DROP FUNCTION app.org_id();
DROP FUNCTION app.context(text);
DROP FUNCTION app.uuid7();
DROP FUNCTION app.uuid7_at(timestamptz);

DROP EXTENSION btree_gin;
DROP SCHEMA app;

REVOKE ALL ON SCHEMA public FROM crm_owner, crm_definer, crm_app, crm_worker;
DO $$
BEGIN
    EXECUTE format('REVOKE CONNECT ON DATABASE %I FROM crm_app, crm_worker', current_database());
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO PUBLIC', current_database());
END
$$;
