-- Takes the log away, with everything it says.
SELECT app.remove_tracking('memberships');
SELECT app.remove_tracking('teams');
SELECT app.remove_tracking('organizations');
DROP FUNCTION app.remove_tracking(regclass);
DROP FUNCTION app.install_tracking(regclass, text, text, text, text, text, text, text[]);
DROP FUNCTION app.exact_text(numeric);
DROP FUNCTION app.ensure_activity_partitions(integer, date);
DROP VIEW q_activities;
DROP TABLE crm_activity_details;
DROP TABLE crm_activities;
DROP SEQUENCE crm_activities_seq;
