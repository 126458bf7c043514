-- What filters of activities compare: the names of changed fields as a JSON list, like tags, and the address as text.
--
-- What must stay true: the views show what they showed, to whom they showed it; two columns are added behind. Each ends with the test of
-- organisation and role, which the seal looks for.

-- Around what is there, whichever kinds of activities it hides from whom.
DO $$
DECLARE
    view_name text;
BEGIN
    FOREACH view_name IN ARRAY ARRAY['q_activities', 'q_audit'] LOOP
        EXECUTE format(
            'CREATE OR REPLACE VIEW public.%I AS
             SELECT shown.*, to_jsonb(shown.fields) AS fields_list, host(shown.ip) AS ip_text FROM (%s) AS shown
              WHERE shown.organization_id = app.org_id() AND app.role() IS NOT NULL',
            view_name, rtrim(pg_get_viewdef(format('public.%I', view_name)::regclass), '; '));
    END LOOP;
END
$$;
