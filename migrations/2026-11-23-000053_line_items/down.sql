DROP VIEW q_products;
DROP INDEX crm_products_bin;
DROP INDEX crm_products_active;
DROP INDEX crm_products_currency;
DROP INDEX crm_products_sku;
DROP TRIGGER guard_20_product ON crm_products;
DROP FUNCTION app.guard_product();

DROP TRIGGER guard_25_sum ON crm_deals;
DROP FUNCTION app.guard_deal_sum();

CREATE OR REPLACE FUNCTION app.guard_deal_contact() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM app.require_parent(NEW.organization_id, TG_TABLE_NAME, 'public.crm_contacts', NEW.contact_id, 'contact_id');
    RETURN NEW;
END
$$;

CREATE OR REPLACE FUNCTION app.guard_line_item() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM app.require_parent(NEW.organization_id, TG_TABLE_NAME, 'public.crm_products', NEW.product_id, 'product_id');
    RETURN NEW;
END
$$;

ALTER TABLE crm_deal_line_items DROP COLUMN amount;
SELECT app.install_tracking(
    'crm_deal_line_items', 'deal_line_item', 'r.name', subject_type => '''deal''', subject_id => 'r.deal_id');

DROP VIEW q_deals;
ALTER TABLE crm_deals DROP COLUMN parts_version;
SELECT app.install_tracking('crm_deals', 'deal', 'r.name', status_column => 'stage');
SELECT app.install_query_view('crm_deals', 'q_deals');

SELECT app.seal_functions();
