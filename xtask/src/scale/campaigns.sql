-- Most of them over.
INSERT INTO crm_campaigns (
    id, name, campaign_type, status, started_at, paused_at, completed_at, cancelled_at, start_date, end_date, budget, actual_cost,
    owner_id, tags, custom_fields, created_at, updated_at, deleted_at)
SELECT pg_temp.id('campaign', n, pg_temp.campaigns()),
       format('%s %s in %s', (ARRAY['Spring', 'Summer', 'Autumn', 'Winter'])[1 + pg_temp.chance(n, 1, 4)], place.sub_industry, place.city),
       (ARRAY['email', 'email', 'social', 'webinar', 'event', 'content', 'other'])[1 + pg_temp.chance(n, 3, 7)],
       status,
       CASE WHEN status IN ('active', 'paused', 'completed') THEN made END,
       CASE WHEN status = 'paused' THEN pg_temp.standing() END,
       CASE WHEN status = 'completed' THEN pg_temp.standing() END,
       CASE WHEN status = 'cancelled' THEN pg_temp.standing() END,
       CASE WHEN n % 15 <> 0 THEN made::date END,
       CASE WHEN n % 10 <> 0 THEN (made + make_interval(days => pg_temp.chance(n, 4, 100)::integer))::date END,
       CASE WHEN n % 4 <> 0 THEN pg_temp.chance(n, 5, 400000) / 4.0 END,
       CASE WHEN n % 3 <> 0 THEN pg_temp.chance(n, 6, 400000) / 4.0 END,
       CASE WHEN n % 50 = 0 THEN NULL ELSE member.user_id END,
       pg_temp.tags(n),
       jsonb_build_object('source_id', 'K' || n),
       made,
       pg_temp.changed(n, pg_temp.campaigns()),
       pg_temp.deleted(n)
  FROM (SELECT n, pg_temp.moment(n, pg_temp.campaigns()) AS made,
               CASE WHEN n % 20 = 0 THEN 'active' WHEN n % 21 = 0 THEN 'planning' WHEN n % 200 = 7 THEN 'paused'
                    WHEN n % 9 = 0 THEN 'cancelled' ELSE 'completed' END AS status
          FROM generate_series($1::bigint, $2::bigint) AS n) AS chosen
  JOIN pg_temp.words AS place ON place.place = pg_temp.chance(n, 2, 4096)
  JOIN pg_temp.members AS member ON member.place = pg_temp.chance(n, 7, 200)
