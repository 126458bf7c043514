-- Takes the pipelines away. What the log says of them stays.
DROP TRIGGER make_default_pipeline ON organizations;
DROP FUNCTION app.make_default_pipeline();
SELECT app.remove_tracking('crm_pipeline_stages');
DROP VIEW q_pipeline_stages;
DROP TABLE crm_pipeline_stages;
SELECT app.remove_tracking('crm_pipelines');
DROP VIEW q_pipelines;
DROP TABLE crm_pipelines;
