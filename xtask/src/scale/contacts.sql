INSERT INTO crm_contacts (
    id, company_id, first_name, last_name, email, phone, title, department, contact_status, lead_source, lead_score, owner_id, tags,
    custom_fields, created_at, updated_at, deleted_at)
SELECT pg_temp.id('contact', n, pg_temp.contacts()),
       CASE WHEN n % 25 <> 0 THEN pg_temp.company(n, 1) END,
       first.first_name,
       last.surname,
       CASE WHEN n % 10 <> 0 THEN lower(first.first_name) || n || '@mail.example' END,
       CASE WHEN n % 4 <> 0 THEN '+49 30 ' || pg_temp.chance(n, 5, 10000000) END,
       (ARRAY['Buyer', 'Head of sales', 'Engineer', 'Director', 'Assistant'])[1 + pg_temp.chance(n, 6, 6)],
       (ARRAY['Sales', 'Purchasing', 'IT', 'Finance'])[1 + pg_temp.chance(n, 7, 5)],
       CASE WHEN n % 1000 = 0 THEN 'bounced' WHEN n % 9 = 0 THEN 'inactive' ELSE 'active' END,
       CASE WHEN n % 7 <> 0
            THEN (ARRAY['web', 'fair', 'partner', 'cold call', 'newsletter', 'referral', 'search', 'event', 'import', 'letter', 'radio', 'other'])
                 [1 + pg_temp.chance(n, 8, 12)] END,
       CASE WHEN n % 6 <> 0 THEN pg_temp.chance(n, 9, 101) END,
       CASE WHEN n % 50 = 0 THEN NULL ELSE member.user_id END,
       pg_temp.tags(n),
       jsonb_build_object('source_id', 'P' || n, 'language', (ARRAY['de', 'en', 'fr'])[1 + pg_temp.chance(n, 11, 3)]),
       pg_temp.moment(n, pg_temp.contacts()),
       pg_temp.changed(n, pg_temp.contacts()),
       pg_temp.deleted(n)
  FROM generate_series($1::bigint, $2::bigint) AS n
  JOIN pg_temp.words AS first ON first.place = pg_temp.chance(n, 2, 4096)
  JOIN pg_temp.words AS last ON last.place = pg_temp.chance(n, 3, 4096)
  JOIN pg_temp.members AS member ON member.place = pg_temp.chance(n, 10, 200)
