-- Those that the opportunities of the demo name, in the order of their prices.
INSERT INTO crm_products (id, name, sku, unit_price, currency, created_at, updated_at)
SELECT pg_temp.id('product', n, pg_temp.products()), product, upper(replace(product, ' ', '-')), list_price, 'USD',
       pg_temp.moment(n, pg_temp.products()), pg_temp.moment(n, pg_temp.products())
  FROM generate_series($1::bigint, $2::bigint) AS n
  JOIN (SELECT product, list_price, row_number() OVER (ORDER BY list_price, product) AS place
          FROM (SELECT DISTINCT product, list_price FROM pg_temp.opportunities) AS sold) AS known ON known.place = n
