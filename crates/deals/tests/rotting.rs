//! What rots is one question of the filter language, and costs what it finds, in an organisation of 20,000 deals.

use crm_deals::{Deals, FIELDS, PgDeals, VOCABULARY, default_sort};
use crm_kernel::{Condition, Filter, ListQuery, Timestamp, filter::Moment};
use crm_testkit::{Plan, Tenant, TestDatabase};

/// A list may read so many rows for nothing.
const MOST_WASTED: f64 = 5_000.0;

/// Deals that have stood in their stage since January; each `every` has stood too long. Triggers sleep: what is measured is reading.
async fn with_deals(every: u32) -> (TestDatabase, Tenant) {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    let (own, member) = (tenant.organization_id, tenant.member.user_id);
    database
        .execute(&format!(
            "SET session_replication_role = replica;
             INSERT INTO crm_deals (organization_id, id, owner_id, created_by_id, name, pipeline_id, stage, amount, currency)
             SELECT '{own}', app.uuid7_at(now() - n * interval '1 minute'), '{member}', '{member}', 'GTX Pro ' || n, pipeline.id,
                    'negotiation', 550, 'USD'
               FROM generate_series(1, 20000) AS n, crm_pipelines AS pipeline WHERE pipeline.organization_id = '{own}';
             INSERT INTO crm_deal_stage_history (organization_id, deal_id, pipeline_id, stage, entered_at, rots_at)
             SELECT organization_id, id, pipeline_id, stage, '2017-01-02Z',
                    CASE WHEN substr(name, 9)::integer % {every} = 0 THEN '2017-01-16Z' ELSE '2999-01-16Z' END::timestamptz
               FROM crm_deals WHERE organization_id = '{own}';
             INSERT INTO crm_record_times (organization_id, entity, record_id, in_bin, updated_at, last_activity_at)
             SELECT organization_id, 'deal', id, false, updated_at, updated_at FROM crm_deals WHERE organization_id = '{own}'"
        ))
        .await;
    for table in ["crm_deals", "crm_deal_stage_history", "crm_record_times"] {
        database.execute(&format!("VACUUM (ANALYZE) {table}")).await;
    }
    (database, tenant)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rots_costs_what_it_finds() {
    for (every, found) in [(1_000, 20), (1, 50)] {
        let (database, tenant) = with_deals(every).await;
        for text in ["rots_at <= now()", "rots_at <= now() AND stage = \"negotiation\" AND owner_id = me"] {
            let moment = Moment::utc(tenant.member.user_id, Timestamp::now());
            let condition = Condition::parse(text, &VOCABULARY).expect("a condition");
            let filter = Filter::default().and(condition, &moment).expect("within the calendar");
            let plan = Plan::judged(&database.db(), &tenant.member, "q_deals", FIELDS, &filter.condition()).await;
            assert!(plan.wasted() < MOST_WASTED, "{text}, one of {every}: {} rows for nothing: {}", plan.wasted(), plan.text());
            let query = ListQuery { filter, ..ListQuery::all(default_sort()) };
            let page = PgDeals::new(database.db()).list(&tenant.member, &query).await.expect("it is not too costly");
            assert_eq!(page.data.len(), found, "{text}");
            let now = Timestamp::now();
            assert!(page.data.iter().all(|deal| deal.rots_at.is_some_and(|from| from <= now)));
        }
    }
}
