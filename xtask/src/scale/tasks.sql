-- Most of them done long ago.
INSERT INTO crm_tasks (
    id, title, related_to_type, related_to_id, task_type, status, priority, due_date, completed_at, assigned_to_id, tags,
    custom_fields, created_at, updated_at, deleted_at)
SELECT pg_temp.id('task', n, pg_temp.tasks()),
       format('%s %s %s', (ARRAY['Call', 'Write to', 'Meet', 'Ask'])[1 + pg_temp.chance(n, 1, 4)], person.first_name, person.surname),
       CASE WHEN n % 8 = 0 THEN NULL WHEN n % 3 = 0 THEN 'contact' WHEN n % 5 = 0 THEN 'deal' ELSE 'company' END,
       CASE WHEN n % 8 = 0 THEN NULL WHEN n % 3 = 0 THEN pg_temp.contact(n, 3) WHEN n % 5 = 0 THEN pg_temp.deal(n, 4)
            ELSE pg_temp.company(n, 5) END,
       CASE WHEN n % 1000 = 0 THEN 'demo' ELSE (ARRAY['call', 'email', 'meeting', 'todo', 'follow_up'])[1 + pg_temp.chance(n, 6, 5)] END,
       CASE WHEN n % 20 = 0 THEN 'pending' WHEN n % 400 = 7 THEN 'in_progress' WHEN n % 9 = 0 THEN 'cancelled' ELSE 'completed' END,
       CASE WHEN n % 500 = 0 THEN 'urgent' ELSE (ARRAY['low', 'medium', 'medium', 'high'])[1 + pg_temp.chance(n, 7, 4)] END,
       CASE WHEN n % 15 <> 0 THEN made + make_interval(days => pg_temp.chance(n, 8, 400)::integer) END,
       CASE WHEN n % 20 = 0 OR n % 400 = 7 OR n % 9 = 0 THEN NULL ELSE pg_temp.standing() END,
       CASE WHEN n % 50 = 0 THEN NULL ELSE member.user_id END,
       pg_temp.tags(n),
       jsonb_build_object('source_id', 'T' || n),
       made,
       pg_temp.changed(n, pg_temp.tasks()),
       pg_temp.deleted(n)
  FROM generate_series($1::bigint, $2::bigint) AS n
 CROSS JOIN LATERAL (SELECT pg_temp.moment(n, pg_temp.tasks()) AS made) AS beginning
  JOIN pg_temp.words AS person ON person.place = pg_temp.chance(n, 2, 4096)
  JOIN pg_temp.members AS member ON member.place = pg_temp.chance(n, 9, 200)
