-- Of the deals in qualification every third one goes on, after as long as it has been there: the one move that is made now. A deal that was
-- moved is not moved again.
UPDATE crm_deals AS deal
   SET stage = CASE WHEN n % 2 = 0 THEN 'proposal' ELSE 'negotiation' END
  FROM generate_series($1::bigint, $2::bigint) AS n
 WHERE deal.organization_id = app.org_id()
   AND deal.id = pg_temp.id('deal', n, pg_temp.deals())
   AND pg_temp.chance(n, 16, 3) = 0
   AND deal.stage = 'qualification'
   AND deal.version = 1
   AND deal.deleted_at IS NULL
