INSERT INTO crm_companies (
    id, name, slug, industry, company_size, website, billing_address, annual_revenue, employee_count, company_status, owner_id, tags,
    custom_fields, created_at, updated_at, deleted_at, parent_id)
SELECT pg_temp.id('company', n, pg_temp.companies()),
       CASE pg_temp.chance(n, 1, 3)
           WHEN 0 THEN format('%s %s', first.surname, branch.sub_industry)
           WHEN 1 THEN format('%s & %s', first.surname, second.surname)
           ELSE format('%s %s', branch.city, branch.sub_industry) END,
       'company-' || n,
       CASE WHEN n % 20 = 0 THEN NULL WHEN n % 2001 = 0 THEN 'shipbuilding' ELSE lower(branch.sector) END,
       CASE WHEN n % 19 = 0 THEN NULL ELSE (ARRAY['startup', 'small', 'medium', 'enterprise'])[1 + pg_temp.chance(n, 4, 4)] END,
       CASE WHEN n % 3 = 0 THEN NULL ELSE 'https://company-' || n || '.example' END,
       jsonb_build_object('city', place.city, 'country', place.country),
       CASE WHEN n % 10 = 0 THEN NULL ELSE pg_temp.chance(n, 7, 2000000000) + 0.5 END,
       CASE WHEN n % 11 = 0 THEN NULL ELSE pg_temp.chance(n, 8, 20000) END,
       CASE WHEN n % 100 = 0 THEN 'churned' ELSE (ARRAY['lead', 'lead', 'customer', 'prospect'])[1 + pg_temp.chance(n, 9, 4)] END,
       CASE WHEN n % 50 = 0 THEN NULL ELSE member.user_id END,
       pg_temp.tags(n),
       jsonb_build_object('region', 'region ' || pg_temp.chance(n, 11, 8), 'year_established', 1950 + pg_temp.chance(n, 12, 76),
                          'source_id', 'C' || n),
       pg_temp.moment(n, pg_temp.companies()),
       pg_temp.changed(n, pg_temp.companies()),
       pg_temp.deleted(n),
       -- Subsidiaries of the first thousand, which are made before them.
       CASE WHEN n > 2000 AND n % 14 = 0
            THEN pg_temp.id('company', pg_temp.living(1 + pg_temp.chance(n, 14, 1000), pg_temp.companies()), pg_temp.companies()) END
  FROM generate_series($1::bigint, $2::bigint) AS n
  JOIN pg_temp.words AS first ON first.place = pg_temp.chance(n, 2, 4096)
  JOIN pg_temp.words AS second ON second.place = pg_temp.chance(n, 3, 4096)
  JOIN pg_temp.words AS branch ON branch.place = pg_temp.chance(n, 5, 4096)
  JOIN pg_temp.words AS place ON place.place = pg_temp.chance(n, 6, 4096)
  JOIN pg_temp.members AS member ON member.place = pg_temp.chance(n, 10, 200)
