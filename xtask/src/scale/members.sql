-- Of campaigns that have begun some way on, of those that are planned nowhere yet. Whoever is drawn twice for a campaign is in it once.
INSERT INTO crm_campaign_contacts (
    id, campaign_id, contact_id, status, sent_at, delivered_at, opened_at, clicked_at, bounced_at, created_at, updated_at)
SELECT pg_temp.id('member', n, pg_temp.members()), campaign.id, pg_temp.contact(n, 2), reached.status,
       CASE WHEN reached.status <> 'pending' THEN reached.at END,
       CASE WHEN reached.status IN ('delivered', 'opened', 'clicked') THEN reached.at END,
       CASE WHEN reached.status IN ('opened', 'clicked') THEN reached.at END,
       CASE WHEN reached.status = 'clicked' THEN reached.at END,
       CASE WHEN reached.status = 'bounced' THEN reached.at END,
       reached.at, reached.at
  FROM generate_series($1::bigint, $2::bigint) AS n
  JOIN crm_campaigns AS campaign ON campaign.organization_id = app.org_id() AND campaign.id = pg_temp.campaign(n, 1)
 CROSS JOIN LATERAL (
     SELECT CASE WHEN campaign.status = 'planning' THEN 'pending'
                 ELSE (ARRAY['sent', 'delivered', 'delivered', 'delivered', 'opened', 'opened', 'opened', 'clicked', 'clicked', 'bounced'])
                      [1 + pg_temp.chance(n, 3, 10)] END AS status,
            pg_temp.moment(n, pg_temp.members()) AS at) AS reached
 ORDER BY n
    ON CONFLICT (organization_id, campaign_id, contact_id) DO NOTHING
