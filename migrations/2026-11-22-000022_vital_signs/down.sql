-- Takes the vital signs away; what crm_definer may read stays, as the role belongs to the whole server.
DROP FUNCTION app.vital_signs();
