-- What a deal consists of and who takes part in it, as lists that are kept with the deal; products are searched like other records.
--
-- What must stay true:
--   * A line's amount is what its quantity, price and discount come to, in the digits of the deal's currency.
--   * A deal with lines is worth their sum, in the currency that they were written in.
--   * A change of the lines or of the people is a change of the deal: it has a new version.

ALTER TABLE crm_deals ADD COLUMN parts_version integer NOT NULL DEFAULT 1;
SELECT app.install_tracking('crm_deals', 'deal', 'r.name', status_column => 'stage');
SELECT app.install_query_view('crm_deals', 'q_deals');
GRANT UPDATE (parts_version) ON crm_deals TO crm_app;

-- Which digits a currency has only the service knows; half a unit is the most that rounding to whole ones changes.
ALTER TABLE crm_deal_line_items ADD COLUMN amount numeric(18,3);
UPDATE crm_deal_line_items SET amount = round(quantity * unit_price * (100 - discount_percent) / 100, 3);
ALTER TABLE crm_deal_line_items
    ALTER COLUMN amount SET NOT NULL,
    ADD CONSTRAINT crm_deal_line_items_amount_sum
        CHECK (abs(amount - quantity * unit_price * (100 - discount_percent) / 100) <= 0.5);
SELECT app.install_tracking(
    'crm_deal_line_items', 'deal_line_item', 'r.name', subject_type => '''deal''', subject_id => 'r.deal_id');
GRANT INSERT (amount), UPDATE (amount) ON crm_deal_line_items TO crm_app;

-- As before, but a line that is there and is written again keeps a product that has been deleted meanwhile.
CREATE OR REPLACE FUNCTION app.guard_line_item() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM public.crm_deal_line_items
         WHERE organization_id = NEW.organization_id AND id = NEW.id AND product_id = NEW.product_id)
    THEN
        PERFORM app.require_parent(NEW.organization_id, TG_TABLE_NAME, 'public.crm_products', NEW.product_id, 'product_id');
    END IF;
    RETURN NEW;
END
$$;

-- The same of the people: who is there already may have been deleted since.
CREATE OR REPLACE FUNCTION app.guard_deal_contact() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM public.crm_deal_contacts
         WHERE organization_id = NEW.organization_id AND deal_id = NEW.deal_id AND contact_id = NEW.contact_id)
    THEN
        PERFORM app.require_parent(NEW.organization_id, TG_TABLE_NAME, 'public.crm_contacts', NEW.contact_id, 'contact_id');
    END IF;
    RETURN NEW;
END
$$;

-- Whoever writes lines holds the deal, so the lines that are counted here are those that will stay.
CREATE FUNCTION app.guard_deal_sum() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    total numeric;
BEGIN
    IF ROW(NEW.amount, NEW.currency) IS NOT DISTINCT FROM ROW(OLD.amount, OLD.currency) THEN
        RETURN NEW;
    END IF;
    SELECT sum(amount) INTO total
      FROM public.crm_deal_line_items
     WHERE organization_id = NEW.organization_id AND deal_id = NEW.id;
    IF total IS NULL THEN
        RETURN NEW;
    ELSIF NEW.currency <> OLD.currency THEN
        RAISE EXCEPTION 'the prices of its lines are in the currency of the deal'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'line_items', COLUMN = 'currency', TABLE = TG_TABLE_NAME;
    ELSIF NEW.amount IS DISTINCT FROM total THEN
        RAISE EXCEPTION 'a deal with lines is worth their sum'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'line_items', COLUMN = 'amount', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER guard_25_sum BEFORE UPDATE OF amount, currency ON crm_deals
    FOR EACH ROW EXECUTE FUNCTION app.guard_deal_sum();

-- ---------------------------------------------------------------- products

CREATE FUNCTION app.guard_product() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL THEN
        NEW.deleted_at := now();
    ELSIF OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS NOT NULL THEN
        RAISE EXCEPTION 'a deleted record cannot be changed'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'record_deleted', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER guard_20_product BEFORE UPDATE ON crm_products
    FOR EACH ROW EXECUTE FUNCTION app.guard_product();

CREATE INDEX crm_products_sku      ON crm_products (organization_id, sku, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_products_currency ON crm_products (organization_id, currency, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_products_active   ON crm_products (organization_id, is_active, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_products_bin      ON crm_products (organization_id, id) WHERE deleted_at IS NOT NULL;
SELECT app.install_query_view('crm_products', 'q_products');

SELECT app.seal_functions();
