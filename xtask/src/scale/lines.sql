-- Two numbers for each deal: the product, and for every third deal a part of the price as a service of its own. They sum up to the
-- amount, so no deal changes. Deals without an amount have no lines.
INSERT INTO crm_deal_line_items (id, deal_id, product_id, name, quantity, unit_price, amount, position, created_at, updated_at)
SELECT pg_temp.id('line', n, pg_temp.lines()), deal.id,
       CASE WHEN n % 2 = 1 THEN product.id END,
       CASE WHEN n % 2 = 1 THEN product.name ELSE 'Delivery and set-up' END,
       1, price.amount, price.amount, 1 - n % 2, deal.created_at, deal.created_at
  FROM generate_series($1::bigint, $2::bigint) AS n
 CROSS JOIN LATERAL (SELECT (n + 1) / 2 AS number) AS whole
  JOIN crm_deals AS deal ON deal.organization_id = app.org_id() AND deal.id = pg_temp.id('deal', whole.number, pg_temp.deals())
  JOIN crm_products AS product ON product.organization_id = app.org_id() AND product.name = deal.custom_fields ->> 'product'
 CROSS JOIN LATERAL (SELECT CASE WHEN whole.number % 3 = 0 THEN round(deal.amount / 10, 2) ELSE 0 END AS service) AS part
 CROSS JOIN LATERAL (SELECT CASE WHEN n % 2 = 1 THEN deal.amount - part.service ELSE part.service END AS amount) AS price
 WHERE deal.deleted_at IS NULL AND price.amount > 0
 ORDER BY n
