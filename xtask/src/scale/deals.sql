-- Drawn whole from the opportunities of the demo: product, stage, value and days until it closed belong together. Of the last fifth nine in
-- ten are open, of the older ones three in a hundred.
INSERT INTO crm_deals (
    id, company_id, primary_contact_id, campaign_id, name, pipeline_id, amount, currency, stage, probability, expected_close_date, actual_close_date,
    deal_source, lost_reason, owner_id, tags, custom_fields, created_at, updated_at, deleted_at)
SELECT pg_temp.id('deal', n, pg_temp.deals()),
       CASE WHEN n % 8 <> 0 THEN pg_temp.company(n, 1) END,
       CASE WHEN n % 3 <> 0 THEN pg_temp.contact(n, 2) END,
       CASE WHEN n % 5 = 0 THEN pg_temp.campaign(n, 15) END,
       format('%s for %s', opportunity.product, customer.surname),
       pipeline.id,
       CASE WHEN n % 12 <> 0 THEN coalesce(opportunity.value, opportunity.list_price * (1 + pg_temp.chance(n, 3, 20))) END,
       CASE WHEN n % 10 = 0 THEN 'EUR' ELSE 'USD' END,
       course.stage,
       CASE WHEN course.stage = 'closed_won' THEN 100 WHEN course.stage = 'closed_lost' THEN 0 ELSE pg_temp.chance(n, 7, 100) END,
       CASE WHEN n % 15 <> 0 THEN (made + make_interval(days => 30 + pg_temp.chance(n, 8, 400)::integer))::date END,
       CASE WHEN NOT beginning.is_open THEN least(pg_temp.standing()::date, made::date + opportunity.days) END,
       CASE WHEN n % 5 <> 0 THEN (ARRAY['web', 'fair', 'partner', 'cold call', 'referral', 'search'])[1 + pg_temp.chance(n, 10, 6)] END,
       CASE WHEN course.stage = 'closed_lost' THEN (ARRAY['price', 'price', 'timing', 'competitor', 'no budget'])[1 + pg_temp.chance(n, 9, 5)] END,
       CASE WHEN n % 50 = 0 THEN NULL ELSE member.user_id END,
       pg_temp.tags(n),
       jsonb_build_object('product', opportunity.product, 'source_id', 'D' || n),
       made,
       pg_temp.changed(n, pg_temp.deals()),
       pg_temp.deleted(n)
  FROM generate_series($1::bigint, $2::bigint) AS n
 CROSS JOIN LATERAL (
     SELECT pg_temp.moment(n, pg_temp.deals()) AS made,
            pg_temp.chance(n, 4, 100) < CASE WHEN n > pg_temp.deals() * 4 / 5 THEN 90 ELSE 3 END AS is_open) AS beginning
  JOIN pg_temp.opportunities AS opportunity
    ON opportunity.is_open = beginning.is_open
   AND opportunity.place = pg_temp.chance(n, 5, CASE WHEN beginning.is_open THEN pg_temp.open_opportunities() ELSE pg_temp.closed_opportunities() END)
 CROSS JOIN LATERAL (
     SELECT CASE WHEN opportunity.stage = 'qualification'
                 THEN (ARRAY['qualification', 'qualification', 'proposal', 'negotiation'])[1 + pg_temp.chance(n, 6, 4)]
                 ELSE opportunity.stage END AS stage) AS course
  JOIN pg_temp.words AS customer ON customer.place = pg_temp.chance(n, 14, 4096)
  JOIN pg_temp.members AS member ON member.place = pg_temp.chance(n, 11, 200)
  JOIN crm_pipelines AS pipeline ON pipeline.organization_id = app.org_id() AND pipeline.is_default
