-- Takes products and line items away. What the log says of them stays.
SELECT app.remove_tracking('crm_deal_line_items');
DROP TABLE crm_deal_line_items;
DROP FUNCTION app.guard_line_item();
SELECT app.remove_tracking('crm_products');
DROP TABLE crm_products;
