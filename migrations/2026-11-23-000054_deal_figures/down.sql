DROP TRIGGER count_deals_delete ON crm_deals;
DROP TRIGGER count_deals_update ON crm_deals;
DROP TRIGGER count_deals_insert ON crm_deals;
DROP FUNCTION app.count_deals_delete();
DROP FUNCTION app.count_deals_update();
DROP FUNCTION app.count_deals_insert();
DROP FUNCTION app.fold_deal_figures(uuid);
DROP VIEW q_deal_figures;
DROP TABLE crm_deal_figures;
