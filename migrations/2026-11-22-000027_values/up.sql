-- Values: objects of the caller's choice have a bound on their keys, not on their bytes alone.
--
-- What must stay true: crm_kernel's `validation::object` refuses the same before it comes here. It sees one request; many changes
-- that add keys are seen together only here, after they have been merged.

CREATE OR REPLACE FUNCTION app.valid_object(value jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
SELECT CASE WHEN jsonb_typeof(value) <> 'object' THEN false
            WHEN octet_length(value::text) > 65536 THEN false
            ELSE (SELECT count(*) FROM jsonb_object_keys(value)) <= 200
       END
$$;

SELECT app.seal_functions();
