-- One organisation with as many companies, contacts and deals as it is told, and a fifth as many projects and a hundredth as many campaigns as deals, as many tasks and notes, the same ones each time, through every guard and trigger.
-- Temporary functions: they go with the connection that calls them.

CREATE FUNCTION pg_temp.chance(number bigint, salt bigint, below bigint) RETURNS bigint LANGUAGE sql IMMUTABLE
AS $$ SELECT (hashint8extended(number, salt) & 9007199254740991) % below $$;

-- The six years before the day on which everything stands still; number `number` of `total` in their order.
CREATE FUNCTION pg_temp.moment(number bigint, total bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE
AS $$ SELECT '2026-11-01T00:00:00Z'::timestamptz - make_interval(secs => 189345600.0 * (total - number) / total) $$;

CREATE FUNCTION pg_temp.id(kind text, number bigint, total bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
AS $$
SELECT (lpad(to_hex((extract(epoch FROM pg_temp.moment(number, total)) * 1000)::bigint), 12, '0')
        || '7' || substr(digest, 1, 3) || '8' || substr(digest, 4, 15))::uuid
  FROM md5(kind || number || '/' || total) AS digest
$$;

-- A parent that is not in the bin: there lies every fiftieth.
CREATE FUNCTION pg_temp.living(number bigint, total bigint) RETURNS bigint LANGUAGE sql IMMUTABLE
AS $$ SELECT CASE WHEN number % 50 = 7 THEN number - 1 WHEN number > total THEN total ELSE number END $$;

CREATE FUNCTION pg_temp.tags(number bigint) RETURNS jsonb LANGUAGE sql IMMUTABLE
AS $$
SELECT CASE WHEN pg_temp.chance(number, 31, 100) < 40 THEN '[]'::jsonb ELSE '["newsletter"]' END
    || CASE WHEN pg_temp.chance(number, 32, 200) = 0 THEN '["vip"]'::jsonb ELSE '[]' END
    || jsonb_build_array('tag ' || pg_temp.chance(number, 33, 400))
$$;

-- The people: an owner and 200 members in ten teams. Answers with their ids, the owner's first.
CREATE FUNCTION pg_temp.people(slug text) RETURNS uuid[] LANGUAGE plpgsql
AS $$
DECLARE
    founded record;
    teams   uuid[] := '{}';
    people  uuid[];
BEGIN
    SELECT * INTO founded FROM app.create_organization(slug, slug, 'USD', 'UTC', 'owner@' || slug || '.example', 'Owner', NULL);
    people := ARRAY[founded.organization_id, founded.user_id];
    FOR number IN 0 .. 9 LOOP
        teams := teams || app.add_team(founded.organization_id, 'Team ' || number, NULL);
    END LOOP;
    FOR number IN 1 .. 200 LOOP
        people := people || app.add_member(
            founded.organization_id, format('member%s@%s.example', number, slug), 'Member ' || number, 'member', 'Sales agent', founded.user_id,
            teams[1 + number % 10], NULL);
    END LOOP;
    RETURN people;
END
$$;

CREATE FUNCTION pg_temp.enter(people uuid[]) RETURNS void LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM app.begin_request(people[1], people[2], NULL, NULL, 'user', false, NULL, NULL, 'plans', NULL);
END
$$;

CREATE PROCEDURE pg_temp.fill(slug text, companies bigint, contacts bigint, deals bigint, at_once bigint) LANGUAGE plpgsql
AS $$
DECLARE
    triggers CONSTANT text := current_setting('session_replication_role');
    people   uuid[];
    pipeline uuid;
    standing CONSTANT timestamptz := '2026-11-01T00:00:00Z';
    adjectives CONSTANT text[] := '{Northern,Golden,Blue,United,Rapid,Quiet,Grand,Alpine,Silver,Modern,Bright,Urban,Coastal,Prime,Noble}';
    nouns    CONSTANT text[] := '{Systems,Foods,Logistics,Partners,Energy,Textiles,Media,Robotics,Pharma,Travel,Retail,Mining,Labs,Works}';
    branches CONSTANT text[] := '{software,retail,medical,finance,energy,logistics,education,media,travel,mining,law,food,sport,music}';
    firsts   CONSTANT text[] := '{Anna,Ben,Carla,David,Elena,Frank,Grace,Hugo,Iris,Jonas,Karin,Leo,Maria,Nils,Olga,Paul,Rosa,Sven,Tara,Uwe}';
    sources  CONSTANT text[] := '{web,fair,partner,cold call,newsletter,referral,search,event,import,letter,radio,other}';
    stages   CONSTANT text[] := '{closed_won,closed_won,closed_won,closed_won,closed_lost,closed_lost,closed_lost,prospecting,qualification,proposal}';
    begins   bigint;
BEGIN
    -- Triggers make what an organisation has from the first day, even where they sleep for its records.
    SET session_replication_role = origin;
    people := pg_temp.people(slug);
    pipeline := (SELECT id FROM crm_pipelines WHERE organization_id = people[1] AND is_default);
    COMMIT;
    PERFORM set_config('session_replication_role', triggers, false);
    COMMIT;
    FOR begins IN SELECT generate_series(1, companies, at_once) LOOP
        PERFORM pg_temp.enter(people);
        INSERT INTO crm_companies (
            id, name, slug, industry, company_size, website, billing_address, annual_revenue, employee_count, company_status, owner_id, tags,
            custom_fields, created_at, updated_at, deleted_at, parent_id)
        SELECT pg_temp.id('company', n, companies),
               format('%s %s %s', adjectives[1 + pg_temp.chance(n, 1, 15)], nouns[1 + pg_temp.chance(n, 2, 14)], n),
               'company-' || n,
               CASE WHEN n % 20 = 0 THEN NULL WHEN n % 2001 = 0 THEN 'shipbuilding' ELSE branches[1 + pg_temp.chance(n, 3, 14)] END,
               CASE WHEN n % 19 = 0 THEN NULL ELSE (ARRAY['startup', 'small', 'medium', 'enterprise'])[1 + pg_temp.chance(n, 4, 4)] END,
               CASE WHEN n % 3 = 0 THEN NULL ELSE 'https://company-' || n || '.example' END,
               jsonb_build_object('city', 'City ' || pg_temp.chance(n, 5, 900), 'country',
                                  (ARRAY['US', 'DE', 'FR', 'PL', 'IT', 'ES', 'GB', 'NL', 'JP', 'BR'])[1 + pg_temp.chance(n, 6, 10)]),
               CASE WHEN n % 10 = 0 THEN NULL ELSE pg_temp.chance(n, 7, 2000000000) + 0.5 END,
               CASE WHEN n % 11 = 0 THEN NULL ELSE pg_temp.chance(n, 8, 20000) END,
               CASE WHEN n % 100 = 0 THEN 'churned' ELSE (ARRAY['lead', 'lead', 'customer', 'prospect'])[1 + pg_temp.chance(n, 9, 4)] END,
               CASE WHEN n % 50 = 0 THEN NULL ELSE people[3 + pg_temp.chance(n, 10, 200)] END,
               pg_temp.tags(n),
               jsonb_build_object('region', 'region ' || pg_temp.chance(n, 11, 8), 'year_established', 1950 + pg_temp.chance(n, 12, 76),
                                  'source_id', 'C' || n),
               pg_temp.moment(n, companies),
               pg_temp.moment(n, companies) + (standing - pg_temp.moment(n, companies)) * pg_temp.chance(n, 13, 1000) / 1000,
               CASE WHEN n % 50 = 7 THEN standing END,
               CASE WHEN n > 2000 AND n % 14 = 0 THEN pg_temp.id('company', pg_temp.living(1 + pg_temp.chance(n, 14, 1000), companies), companies) END
          FROM generate_series(begins, least(begins + at_once - 1, companies)) AS n;
        COMMIT;
    END LOOP;
    FOR begins IN SELECT generate_series(1, contacts, at_once) LOOP
        PERFORM pg_temp.enter(people);
        INSERT INTO crm_contacts (
            id, company_id, first_name, last_name, email, phone, title, department, contact_status, lead_source, lead_score, owner_id, tags,
            custom_fields, created_at, updated_at, deleted_at)
        SELECT pg_temp.id('contact', n, contacts),
               CASE WHEN n % 25 <> 0
                    THEN pg_temp.id('company', pg_temp.living(1 + pg_temp.chance(n, 1, companies), companies), companies) END,
               firsts[1 + pg_temp.chance(n, 2, 20)],
               format('%s%s', initcap(nouns[1 + pg_temp.chance(n, 3, 14)]), pg_temp.chance(n, 4, 2000)),
               CASE WHEN n % 10 <> 0 THEN 'Person' || n || '@mail.example' END,
               CASE WHEN n % 4 <> 0 THEN '+49 30 ' || pg_temp.chance(n, 5, 10000000) END,
               (ARRAY['Buyer', 'Head of sales', 'Engineer', 'Director', 'Assistant'])[1 + pg_temp.chance(n, 6, 6)],
               (ARRAY['Sales', 'Purchasing', 'IT', 'Finance'])[1 + pg_temp.chance(n, 7, 5)],
               CASE WHEN n % 1000 = 0 THEN 'bounced' WHEN n % 9 = 0 THEN 'inactive' ELSE 'active' END,
               CASE WHEN n % 7 <> 0 THEN sources[1 + pg_temp.chance(n, 8, 12)] END,
               CASE WHEN n % 6 <> 0 THEN pg_temp.chance(n, 9, 101) END,
               CASE WHEN n % 50 = 0 THEN NULL ELSE people[3 + pg_temp.chance(n, 10, 200)] END,
               pg_temp.tags(n),
               jsonb_build_object('source_id', 'P' || n, 'language', (ARRAY['de', 'en', 'fr'])[1 + pg_temp.chance(n, 11, 3)]),
               pg_temp.moment(n, contacts),
               pg_temp.moment(n, contacts) + (standing - pg_temp.moment(n, contacts)) * pg_temp.chance(n, 12, 1000) / 1000,
               CASE WHEN n % 50 = 7 THEN standing END
          FROM generate_series(begins, least(begins + at_once - 1, contacts)) AS n;
        COMMIT;
    END LOOP;
    FOR begins IN SELECT generate_series(1, deals, at_once) LOOP
        PERFORM pg_temp.enter(people);
        INSERT INTO crm_deals (
            id, company_id, primary_contact_id, name, pipeline_id, amount, currency, base_amount, base_rate, stage, probability,
            expected_close_date, actual_close_date, deal_source, lost_reason, owner_id, tags, custom_fields, created_at, updated_at, deleted_at)
        SELECT pg_temp.id('deal', n, deals),
               CASE WHEN n % 8 <> 0 THEN pg_temp.id('company', pg_temp.living(1 + pg_temp.chance(n, 1, companies), companies), companies) END,
               CASE WHEN n % 3 <> 0 THEN pg_temp.id('contact', pg_temp.living(1 + pg_temp.chance(n, 2, contacts), contacts), contacts) END,
               format('%s for %s', (ARRAY['Licences', 'Support', 'Hardware', 'Training'])[1 + pg_temp.chance(n, 3, 4)],
                      adjectives[1 + pg_temp.chance(n, 4, 15)] || ' ' || n),
               pipeline,
               CASE WHEN n % 12 <> 0 THEN pg_temp.chance(n, 5, 100000000) / 100.0 END,
               CASE WHEN n % 10 = 0 THEN 'EUR' ELSE 'USD' END,
               CASE WHEN n % 12 <> 0 AND n % 10 <> 0 THEN pg_temp.chance(n, 5, 100000000) / 100.0 END,
               CASE WHEN n % 10 <> 0 THEN 1 END,
               stages[1 + pg_temp.chance(n, 6, 10)],
               pg_temp.chance(n, 7, 101),
               CASE WHEN n % 15 <> 0 THEN (pg_temp.moment(n, deals) + make_interval(days => pg_temp.chance(n, 8, 200)::integer))::date END,
               CASE WHEN stages[1 + pg_temp.chance(n, 6, 10)] LIKE 'closed%'
                    THEN (pg_temp.moment(n, deals) + (standing - pg_temp.moment(n, deals)) * pg_temp.chance(n, 9, 100) / 100)::date END,
               CASE WHEN n % 5 <> 0 THEN sources[1 + pg_temp.chance(n, 10, 12)] END,
               CASE WHEN stages[1 + pg_temp.chance(n, 6, 10)] = 'closed_lost' THEN 'price' END,
               CASE WHEN n % 50 = 0 THEN NULL ELSE people[3 + pg_temp.chance(n, 11, 200)] END,
               pg_temp.tags(n),
               jsonb_build_object('product', 'product ' || pg_temp.chance(n, 12, 40), 'source_id', 'D' || n),
               pg_temp.moment(n, deals),
               pg_temp.moment(n, deals) + (standing - pg_temp.moment(n, deals)) * pg_temp.chance(n, 13, 1000) / 1000,
               CASE WHEN n % 50 = 7 THEN standing END
          FROM generate_series(begins, least(begins + at_once - 1, deals)) AS n;
        COMMIT;
    END LOOP;
    -- A fifth as many projects as deals, most of them done long ago.
    FOR begins IN SELECT generate_series(1, deals / 5, at_once) LOOP
        PERFORM pg_temp.enter(people);
        INSERT INTO crm_projects (
            id, company_id, deal_id, name, project_status, priority, start_date, due_date, completion_date, estimated_hours, actual_hours,
            owner_id, project_manager_id, tags, custom_fields, created_at, updated_at, deleted_at)
        SELECT pg_temp.id('project', n, deals / 5),
               CASE WHEN n % 8 <> 0 THEN pg_temp.id('company', pg_temp.living(1 + pg_temp.chance(n, 1, companies), companies), companies) END,
               CASE WHEN n % 3 <> 0 THEN pg_temp.id('deal', pg_temp.living(1 + pg_temp.chance(n, 2, deals), deals), deals) END,
               format('%s at %s', (ARRAY['Rollout', 'Migration', 'Training', 'Audit'])[1 + pg_temp.chance(n, 3, 4)],
                      adjectives[1 + pg_temp.chance(n, 4, 15)] || ' ' || n),
               CASE WHEN n % 20 = 0 THEN 'in_progress' WHEN n % 21 = 0 THEN 'planning' WHEN n % 200 = 7 THEN 'on_hold'
                    WHEN n % 9 = 0 THEN 'cancelled' ELSE 'completed' END,
               CASE WHEN n % 500 = 0 THEN 'urgent' ELSE (ARRAY['low', 'medium', 'medium', 'high'])[1 + pg_temp.chance(n, 5, 4)] END,
               pg_temp.moment(n, deals / 5)::date,
               CASE WHEN n % 15 <> 0
                    THEN (pg_temp.moment(n, deals / 5) + make_interval(days => pg_temp.chance(n, 6, 400)::integer))::date END,
               CASE WHEN n % 20 = 0 OR n % 21 = 0 OR n % 200 = 7 OR n % 9 = 0 THEN NULL
                    ELSE least(standing, pg_temp.moment(n, deals / 5) + make_interval(days => pg_temp.chance(n, 7, 400)::integer))::date END,
               pg_temp.chance(n, 8, 4000) / 4.0,
               CASE WHEN n % 4 <> 0 THEN pg_temp.chance(n, 9, 4000) / 4.0 END,
               CASE WHEN n % 50 = 0 THEN NULL ELSE people[3 + pg_temp.chance(n, 10, 200)] END,
               CASE WHEN n % 5 = 0 THEN NULL ELSE people[3 + pg_temp.chance(n, 11, 200)] END,
               pg_temp.tags(n),
               jsonb_build_object('source_id', 'J' || n),
               pg_temp.moment(n, deals / 5),
               pg_temp.moment(n, deals / 5) + (standing - pg_temp.moment(n, deals / 5)) * pg_temp.chance(n, 13, 1000) / 1000,
               CASE WHEN n % 50 = 7 THEN standing END
          FROM generate_series(begins, least(begins + at_once - 1, deals / 5)) AS n;
        COMMIT;
    END LOOP;
    -- As many notes as deals, on companies mostly, and some pinned.
    FOR begins IN SELECT generate_series(1, deals, at_once) LOOP
        PERFORM pg_temp.enter(people);
        INSERT INTO crm_notes (id, content, related_to_type, related_to_id, is_pinned, mentions, owner_id, tags, custom_fields, created_at,
                               updated_at, deleted_at)
        SELECT pg_temp.id('note', n, deals),
               format('They want *%s*, said number %s.', adjectives[1 + pg_temp.chance(n, 1, 15)], n),
               CASE WHEN n % 8 = 0 THEN NULL WHEN n % 3 = 0 THEN 'contact' ELSE 'company' END,
               CASE WHEN n % 8 = 0 THEN NULL
                    WHEN n % 3 = 0 THEN pg_temp.id('contact', pg_temp.living(1 + pg_temp.chance(n, 2, contacts), contacts), contacts)
                    ELSE pg_temp.id('company', pg_temp.living(1 + pg_temp.chance(n, 3, companies), companies), companies) END,
               n % 500 = 0,
               CASE WHEN n % 100 = 0 THEN jsonb_build_array(people[3 + pg_temp.chance(n, 5, 200)]) ELSE '[]' END,
               CASE WHEN n % 50 = 0 THEN NULL ELSE people[3 + pg_temp.chance(n, 4, 200)] END,
               pg_temp.tags(n),
               jsonb_build_object('source_id', 'N' || n),
               pg_temp.moment(n, deals),
               pg_temp.moment(n, deals) + (standing - pg_temp.moment(n, deals)) * pg_temp.chance(n, 13, 1000) / 1000,
               CASE WHEN n % 50 = 7 THEN standing END
          FROM generate_series(begins, least(begins + at_once - 1, deals)) AS n;
        COMMIT;
    END LOOP;

    -- As many tasks as deals, most of them done long ago.
    FOR begins IN SELECT generate_series(1, deals, at_once) LOOP
        PERFORM pg_temp.enter(people);
        INSERT INTO crm_tasks (
            id, title, related_to_type, related_to_id, task_type, status, priority, due_date, completed_at, assigned_to_id, tags,
            custom_fields, created_at, updated_at, deleted_at)
        SELECT pg_temp.id('task', n, deals),
               format('%s about %s', (ARRAY['Call', 'Write', 'Meet', 'Ask'])[1 + pg_temp.chance(n, 1, 4)],
                      adjectives[1 + pg_temp.chance(n, 2, 15)] || ' ' || n),
               CASE WHEN n % 8 = 0 THEN NULL WHEN n % 3 = 0 THEN 'contact' WHEN n % 5 = 0 THEN 'deal' ELSE 'company' END,
               CASE WHEN n % 8 = 0 THEN NULL
                    WHEN n % 3 = 0 THEN pg_temp.id('contact', pg_temp.living(1 + pg_temp.chance(n, 3, contacts), contacts), contacts)
                    WHEN n % 5 = 0 THEN pg_temp.id('deal', pg_temp.living(1 + pg_temp.chance(n, 4, deals), deals), deals)
                    ELSE pg_temp.id('company', pg_temp.living(1 + pg_temp.chance(n, 5, companies), companies), companies) END,
               CASE WHEN n % 1000 = 0 THEN 'demo' ELSE (ARRAY['call', 'email', 'meeting', 'todo', 'follow_up'])[1 + pg_temp.chance(n, 6, 5)] END,
               CASE WHEN n % 20 = 0 THEN 'pending' WHEN n % 400 = 7 THEN 'in_progress' WHEN n % 9 = 0 THEN 'cancelled' ELSE 'completed' END,
               CASE WHEN n % 500 = 0 THEN 'urgent' ELSE (ARRAY['low', 'medium', 'medium', 'high'])[1 + pg_temp.chance(n, 7, 4)] END,
               CASE WHEN n % 15 <> 0 THEN pg_temp.moment(n, deals) + make_interval(days => pg_temp.chance(n, 8, 400)::integer) END,
               CASE WHEN n % 20 = 0 OR n % 400 = 7 OR n % 9 = 0 THEN NULL ELSE standing END,
               CASE WHEN n % 50 = 0 THEN NULL ELSE people[3 + pg_temp.chance(n, 9, 200)] END,
               pg_temp.tags(n),
               jsonb_build_object('source_id', 'T' || n),
               pg_temp.moment(n, deals),
               pg_temp.moment(n, deals) + (standing - pg_temp.moment(n, deals)) * pg_temp.chance(n, 13, 1000) / 1000,
               CASE WHEN n % 50 = 7 THEN standing END
          FROM generate_series(begins, least(begins + at_once - 1, deals)) AS n;
        COMMIT;
    END LOOP;

    -- A hundredth as many campaigns as deals, most of them over.
    FOR begins IN SELECT generate_series(1, deals / 100, at_once) LOOP
        PERFORM pg_temp.enter(people);
        INSERT INTO crm_campaigns (
            id, name, campaign_type, status, started_at, paused_at, completed_at, cancelled_at, start_date, end_date, budget, actual_cost,
            owner_id, tags, custom_fields, created_at, updated_at, deleted_at)
        SELECT pg_temp.id('campaign', n, deals / 100),
               format('%s %s', (ARRAY['Spring', 'Summer', 'Autumn', 'Winter'])[1 + pg_temp.chance(n, 1, 4)],
                      adjectives[1 + pg_temp.chance(n, 2, 15)] || ' ' || n),
               (ARRAY['email', 'email', 'social', 'webinar', 'event', 'content', 'other'])[1 + pg_temp.chance(n, 3, 7)],
               status,
               CASE WHEN status IN ('active', 'paused', 'completed') THEN pg_temp.moment(n, deals / 100) END,
               CASE WHEN status = 'paused' THEN standing END,
               CASE WHEN status = 'completed' THEN standing END,
               CASE WHEN status = 'cancelled' THEN standing END,
               CASE WHEN n % 15 <> 0 THEN pg_temp.moment(n, deals / 100)::date END,
               CASE WHEN n % 10 <> 0
                    THEN (pg_temp.moment(n, deals / 100) + make_interval(days => pg_temp.chance(n, 4, 100)::integer))::date END,
               CASE WHEN n % 4 <> 0 THEN pg_temp.chance(n, 5, 400000) / 4.0 END,
               CASE WHEN n % 3 <> 0 THEN pg_temp.chance(n, 6, 400000) / 4.0 END,
               CASE WHEN n % 50 = 0 THEN NULL ELSE people[3 + pg_temp.chance(n, 7, 200)] END,
               pg_temp.tags(n),
               jsonb_build_object('source_id', 'K' || n),
               pg_temp.moment(n, deals / 100),
               pg_temp.moment(n, deals / 100) + (standing - pg_temp.moment(n, deals / 100)) * pg_temp.chance(n, 8, 1000) / 1000,
               CASE WHEN n % 50 = 7 THEN standing END
          FROM (SELECT n, CASE WHEN n % 20 = 0 THEN 'active' WHEN n % 21 = 0 THEN 'planning' WHEN n % 200 = 7 THEN 'paused'
                               WHEN n % 9 = 0 THEN 'cancelled' ELSE 'completed' END AS status
                  FROM generate_series(begins, least(begins + at_once - 1, deals / 100)) AS n) AS chosen;
        COMMIT;
    END LOOP;
    -- Where the triggers sleep, what they keep is written at once.
    PERFORM pg_temp.enter(people);
    INSERT INTO crm_record_times (organization_id, entity, record_id, in_bin, updated_at, last_activity_at)
    SELECT organization_id, 'company', id, deleted_at IS NOT NULL, updated_at, updated_at FROM crm_companies WHERE organization_id = people[1]
    UNION ALL
    SELECT organization_id, 'contact', id, deleted_at IS NOT NULL, updated_at, updated_at FROM crm_contacts WHERE organization_id = people[1]
    UNION ALL
    SELECT organization_id, 'deal', id, deleted_at IS NOT NULL, updated_at, updated_at FROM crm_deals WHERE organization_id = people[1]
    UNION ALL
    SELECT organization_id, 'project', id, deleted_at IS NOT NULL, updated_at, updated_at FROM crm_projects WHERE organization_id = people[1]
    UNION ALL
    SELECT organization_id, 'note', id, deleted_at IS NOT NULL, updated_at, updated_at FROM crm_notes WHERE organization_id = people[1]
    UNION ALL
    SELECT organization_id, 'task', id, deleted_at IS NOT NULL, updated_at, updated_at FROM crm_tasks WHERE organization_id = people[1]
    SELECT organization_id, 'campaign', id, deleted_at IS NOT NULL, updated_at, updated_at FROM crm_campaigns WHERE organization_id = people[1]
        ON CONFLICT DO NOTHING;
    COMMIT;
END
$$;
