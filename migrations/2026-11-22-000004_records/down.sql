-- Takes the shared guards away; the tables that use them are gone by then.
DROP FUNCTION app.guard_child();
DROP FUNCTION app.require_parent(uuid, text, regclass, uuid, text);
DROP FUNCTION app.refuse_deleted_parent(uuid, regclass, uuid, text);
DROP FUNCTION app.guard_record();
DROP FUNCTION app.merge_patch(jsonb, jsonb);
DROP FUNCTION app.valid_object(jsonb);
DROP FUNCTION app.valid_tags(jsonb);
