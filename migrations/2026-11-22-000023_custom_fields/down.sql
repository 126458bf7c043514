-- Takes custom fields away; what records hold under their keys stays.
DO $$
DECLARE
    target regclass;
    event  text;
BEGIN
    FOREACH target IN ARRAY ARRAY['crm_companies', 'crm_contacts', 'crm_deals']::regclass[] LOOP
        FOREACH event IN ARRAY ARRAY['insert', 'update', 'delete'] LOOP
            EXECUTE format('DROP TRIGGER keep_custom_values_%s ON %s', event, target);
        END LOOP;
        EXECUTE format('DROP TRIGGER hold_custom_fields ON %s', target);
        EXECUTE format('REVOKE UPDATE (custom_fields) ON %s FROM crm_definer', target);
    END LOOP;
END
$$;
SELECT app.remove_tracking('crm_custom_fields');
DROP VIEW q_custom_values, q_custom_field_work, q_custom_fields;
DROP FUNCTION app.convert_custom_field(uuid, text, jsonb, text);
DROP FUNCTION app.custom_conversion_report(uuid, text, jsonb, integer);
DROP FUNCTION app.own_custom_field(uuid);
DROP FUNCTION app.convert_custom_values(crm_custom_fields, jsonb, text);
DROP FUNCTION app.insert_missing_custom_values(crm_custom_fields, jsonb);
DROP TABLE crm_custom_values, crm_custom_field_work, crm_custom_fields;
DROP FUNCTION app.custom_field_work(integer);
DROP FUNCTION app.custom_value_as(text, jsonb, jsonb);
DROP FUNCTION app.custom_field_table(text);
DROP FUNCTION app.custom_field_step(uuid, uuid, integer);
DROP FUNCTION app.begin_custom_field_work();
DROP FUNCTION app.guard_custom_field();
DROP FUNCTION app.install_custom_values(regclass, text);
DROP FUNCTION app.hold_custom_fields_first();
DROP FUNCTION app.keep_custom_values();
DROP FUNCTION app.insert_custom_values(uuid, text, jsonb);
DROP FUNCTION app.hold_custom_fields();
DROP FUNCTION app.lock_custom_fields(uuid, text);
DROP FUNCTION app.valid_options(jsonb);
DROP FUNCTION app.custom_unique_key(text, jsonb);
DROP FUNCTION app.custom_text_key(text, jsonb);
DROP FUNCTION app.custom_number_key(text, jsonb);
DROP FUNCTION app.custom_thousandths(jsonb);
DROP FUNCTION app.custom_day(text);
