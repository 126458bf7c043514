DROP TRIGGER guard_20_pipeline ON crm_pipelines;
DROP FUNCTION app.guard_pipeline();

REVOKE UPDATE (label) ON crm_pipeline_stages FROM crm_definer;
DROP TRIGGER guard_15_stage ON crm_deals;
DROP FUNCTION app.hold_stage();

GRANT UPDATE (outcome) ON crm_pipeline_stages TO crm_app;

DROP VIEW q_pipeline_stages;
ALTER TABLE crm_pipeline_stages DROP COLUMN forecast_category;
SELECT app.install_tracking(
    'crm_pipeline_stages', 'pipeline_stage', 'r.label',
    entity_id => 'r.pipeline_id', subject_type => '''pipeline''', subject_id => 'r.pipeline_id');
SELECT app.install_query_view('crm_pipeline_stages', 'q_pipeline_stages');

DROP VIEW q_pipelines;
ALTER TABLE crm_pipelines DROP COLUMN stages_version;
SELECT app.install_tracking('crm_pipelines', 'pipeline', 'r.name');
SELECT app.install_query_view('crm_pipelines', 'q_pipelines');

SELECT app.seal_functions();
