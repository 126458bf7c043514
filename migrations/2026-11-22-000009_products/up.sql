-- Products, and what of them a deal contains.
--
-- What must stay true:
--   * A line item keeps its own name and price: a product that changes later does not change what was offered.
--   * Products are kept by owners and admins; line items by whoever may write the deal.

CREATE TABLE crm_products (
    organization_id uuid         NOT NULL DEFAULT app.org_id(),
    id              uuid         NOT NULL DEFAULT app.uuid7(),
    name            varchar(255) NOT NULL,
    sku             varchar(100),
    description     text,
    unit_price      numeric(18,3),
    currency        varchar(3)   NOT NULL DEFAULT 'USD',
    is_active       boolean      NOT NULL DEFAULT true,
    created_at      timestamptz  NOT NULL DEFAULT now(),
    updated_at      timestamptz  NOT NULL DEFAULT now(),
    deleted_at      timestamptz,
    version         integer      NOT NULL DEFAULT 1,
    name_key        text COLLATE "C" NOT NULL GENERATED ALWAYS AS (lower(name)) STORED,
    CONSTRAINT crm_products_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT crm_products_name_length CHECK (length(btrim(name)) > 0),
    CONSTRAINT crm_products_description_length CHECK (length(description) <= 10000),
    CONSTRAINT crm_products_unit_price_range CHECK (unit_price >= 0),
    CONSTRAINT crm_products_currency_format CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT crm_products_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations (id)
);
CREATE UNIQUE INDEX crm_products_sku_live ON crm_products (organization_id, sku) WHERE deleted_at IS NULL;
CREATE INDEX crm_products_name ON crm_products (organization_id, name_key, id) WHERE deleted_at IS NULL;

SELECT app.secure_table('crm_products', 'manager');
SELECT app.install_tracking('crm_products', 'product', 'r.name');
GRANT SELECT,
      INSERT (id, name, sku, description, unit_price, currency, is_active),
      UPDATE (name, sku, description, unit_price, currency, is_active, deleted_at)
   ON crm_products TO crm_app;

CREATE TABLE crm_deal_line_items (
    organization_id  uuid          NOT NULL DEFAULT app.org_id(),
    id               uuid          NOT NULL DEFAULT app.uuid7(),
    deal_id          uuid          NOT NULL,
    product_id       uuid,
    name             varchar(255)  NOT NULL,
    quantity         numeric(18,3) NOT NULL DEFAULT 1,
    unit_price       numeric(18,3) NOT NULL,  -- in the deal's currency
    discount_percent numeric(6,3)  NOT NULL DEFAULT 0,
    position         integer       NOT NULL DEFAULT 0,
    created_at       timestamptz   NOT NULL DEFAULT now(),
    updated_at       timestamptz   NOT NULL DEFAULT now(),
    version          integer       NOT NULL DEFAULT 1,
    CONSTRAINT crm_deal_line_items_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT crm_deal_line_items_name_length CHECK (length(btrim(name)) > 0),
    CONSTRAINT crm_deal_line_items_quantity_range CHECK (quantity > 0),
    CONSTRAINT crm_deal_line_items_unit_price_range CHECK (unit_price >= 0),
    CONSTRAINT crm_deal_line_items_discount_percent_range CHECK (discount_percent BETWEEN 0 AND 100),
    CONSTRAINT crm_deal_line_items_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations (id),
    CONSTRAINT crm_deal_line_items_deal_id_fkey FOREIGN KEY (organization_id, deal_id)
        REFERENCES crm_deals (organization_id, id),
    CONSTRAINT crm_deal_line_items_product_id_fkey FOREIGN KEY (organization_id, product_id)
        REFERENCES crm_products (organization_id, id)
);
CREATE INDEX crm_deal_line_items_deal ON crm_deal_line_items (organization_id, deal_id, position, id);
CREATE INDEX crm_deal_line_items_product ON crm_deal_line_items (organization_id, product_id)
    WHERE product_id IS NOT NULL;

CREATE FUNCTION app.guard_line_item() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM app.require_parent(NEW.organization_id, TG_TABLE_NAME, 'public.crm_products', NEW.product_id, 'product_id');
    RETURN NEW;
END
$$;

CREATE TRIGGER guard_20_child BEFORE INSERT OR UPDATE OR DELETE ON crm_deal_line_items
    FOR EACH ROW EXECUTE FUNCTION app.guard_child('crm_deals', 'deal_id');
CREATE TRIGGER guard_30_product BEFORE INSERT ON crm_deal_line_items
    FOR EACH ROW EXECUTE FUNCTION app.guard_line_item();

SELECT app.secure_table('crm_deal_line_items', 'member', deletable => true);
SELECT app.install_tracking(
    'crm_deal_line_items', 'deal_line_item', 'r.name', subject_type => '''deal''', subject_id => 'r.deal_id');
-- The product of a line cannot be exchanged: that is another line.
GRANT SELECT, DELETE,
      INSERT (id, deal_id, product_id, name, quantity, unit_price, discount_percent, position),
      UPDATE (name, quantity, unit_price, discount_percent, position)
   ON crm_deal_line_items TO crm_app;

SELECT app.seal_functions();
