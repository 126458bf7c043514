-- Takes the deals away, with their stage history and contacts. What the log says of them stays.
SELECT app.remove_tracking('crm_deal_contacts');
DROP TABLE crm_deal_contacts;
DROP FUNCTION app.guard_deal_contact();
DROP VIEW q_deal_stage_history;
DROP TABLE crm_deal_stage_history;
DROP TRIGGER guard_20_outcome ON crm_pipeline_stages;
DROP FUNCTION app.guard_stage_outcome();
SELECT app.remove_tracking('crm_deals');
DROP VIEW q_deals;
DROP TABLE crm_deals;
DROP FUNCTION app.track_deal_stage();
DROP FUNCTION app.guard_deal();
DROP FUNCTION app.stage_outcome(uuid, uuid, text);
