-- Most of them done long ago.
INSERT INTO crm_projects (
    id, company_id, deal_id, name, project_status, priority, start_date, due_date, completion_date, estimated_hours, actual_hours,
    owner_id, project_manager_id, tags, custom_fields, created_at, updated_at, deleted_at)
SELECT pg_temp.id('project', n, pg_temp.projects()),
       CASE WHEN n % 8 <> 0 THEN pg_temp.company(n, 1) END,
       CASE WHEN n % 3 <> 0 THEN pg_temp.deal(n, 2) END,
       format('%s for %s', (ARRAY['Rollout', 'Migration', 'Training', 'Audit'])[1 + pg_temp.chance(n, 3, 4)], customer.surname),
       CASE WHEN n % 20 = 0 THEN 'in_progress' WHEN n % 21 = 0 THEN 'planning' WHEN n % 200 = 7 THEN 'on_hold'
            WHEN n % 9 = 0 THEN 'cancelled' ELSE 'completed' END,
       CASE WHEN n % 500 = 0 THEN 'urgent' ELSE (ARRAY['low', 'medium', 'medium', 'high'])[1 + pg_temp.chance(n, 5, 4)] END,
       made::date,
       CASE WHEN n % 15 <> 0 THEN (made + make_interval(days => pg_temp.chance(n, 6, 400)::integer))::date END,
       CASE WHEN n % 20 = 0 OR n % 21 = 0 OR n % 200 = 7 OR n % 9 = 0 THEN NULL
            ELSE least(pg_temp.standing(), made + make_interval(days => pg_temp.chance(n, 7, 400)::integer))::date END,
       pg_temp.chance(n, 8, 4000) / 4.0,
       CASE WHEN n % 4 <> 0 THEN pg_temp.chance(n, 9, 4000) / 4.0 END,
       CASE WHEN n % 50 = 0 THEN NULL ELSE member.user_id END,
       CASE WHEN n % 5 = 0 THEN NULL ELSE leader.user_id END,
       pg_temp.tags(n),
       jsonb_build_object('source_id', 'J' || n),
       made,
       pg_temp.changed(n, pg_temp.projects()),
       pg_temp.deleted(n)
  FROM generate_series($1::bigint, $2::bigint) AS n
 CROSS JOIN LATERAL (SELECT pg_temp.moment(n, pg_temp.projects()) AS made) AS beginning
  JOIN pg_temp.words AS customer ON customer.place = pg_temp.chance(n, 4, 4096)
  JOIN pg_temp.members AS member ON member.place = pg_temp.chance(n, 10, 200)
  JOIN pg_temp.members AS leader ON leader.place = pg_temp.chance(n, 11, 200)
