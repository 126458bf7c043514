-- Takes the bound on keys away.
CREATE OR REPLACE FUNCTION app.valid_object(value jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT jsonb_typeof(value) = 'object' AND octet_length(value::text) <= 65536 $$;
