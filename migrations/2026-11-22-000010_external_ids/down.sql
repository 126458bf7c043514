-- Takes the external ids away. What the log says of them stays.
SELECT app.remove_tracking('crm_external_ids');
DROP TABLE crm_external_ids;
