DROP TRIGGER guard_30_place ON crm_deals;
DROP FUNCTION app.place_deal();
DROP VIEW q_deals;
ALTER TABLE crm_deals DROP COLUMN board_position;
SELECT app.install_tracking('crm_deals', 'deal', 'r.name', status_column => 'stage');
SELECT app.install_query_view('crm_deals', 'q_deals');
DROP FUNCTION app.top_position(timestamptz);
SELECT app.seal_functions();
