-- Ids after the server's clock went back.
--
-- PostgreSQL 18's uuidv7() never goes back within a connection: after a clock was set back by an hour, every connection that had
-- made an id before would make ids of an hour ahead, and app.guard_record would refuse each new record as one from the future,
-- until the hour is over or the connection. What must stay true: an id that the database makes is one that it takes.

-- In PL/pgSQL, because an expression could not name the id twice without making two.
CREATE FUNCTION app.not_from_future(id uuid) RETURNS uuid
LANGUAGE plpgsql VOLATILE PARALLEL SAFE
AS $$
BEGIN
    -- Half of what the guard takes.
    IF uuid_extract_timestamp(id) > clock_timestamp() + interval '30 seconds' THEN
        RETURN app.uuid7_at(clock_timestamp());
    END IF;
    RETURN id;
END
$$;

DO $$
BEGIN
    IF current_setting('server_version_num')::integer >= 180000 THEN
        CREATE OR REPLACE FUNCTION app.uuid7() RETURNS uuid
        LANGUAGE sql VOLATILE PARALLEL SAFE
        AS 'SELECT app.not_from_future(pg_catalog.uuidv7())';
    END IF;
END
$$;

SELECT app.seal_functions();
GRANT EXECUTE ON FUNCTION app.not_from_future(uuid) TO crm_definer, crm_app, crm_worker;
