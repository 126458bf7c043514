//! What rots is one question of the filter language, and costs what stands in the stages that give days, in an organisation of 20,000
//! deals, most of them closed.
#![allow(clippy::indexing_slicing, reason = "tests fail by panicking")]

use crm_deals::{
    Deals, FIELDS, NewDeal, NewStage, PgDeals, PgPipelines, PipelineChanges, Pipelines, Stage, StageStep, VOCABULARY,
    default_sort,
};
use crm_kernel::{Condition, Expected, Filter, ListQuery, Timestamp, filter::Moment};
use crm_testkit::{Plan, Tenant, TestDatabase};
use diesel_async::SimpleAsyncConnection;

/// A list may read so many rows for nothing.
const MOST_WASTED: f64 = 5_000.0;

/// A fifth of the deals is open; each `every` has stood in its stage since January, the others since now. Triggers sleep: what is measured is
/// reading.
async fn with_deals(every: u32) -> (TestDatabase, Tenant) {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    let (own, member) = (tenant.organization_id, tenant.member.user_id);
    database
        .execute(&format!(
            "SET session_replication_role = replica;
             INSERT INTO crm_deals (organization_id, id, owner_id, created_by_id, name, pipeline_id, stage, amount, currency, actual_close_date,
                    stage_entered_at)
             SELECT '{own}', app.uuid7_at(now() - n * interval '1 minute'), '{member}', '{member}', 'GTX Pro ' || n, pipeline.id,
                    CASE WHEN n % 5 = 0 THEN 'negotiation' ELSE 'closed_won' END, 550, 'USD', CASE WHEN n % 5 > 0 THEN '2017-01-02'::date END,
                    CASE WHEN n % {every} = 0 THEN '2017-01-02Z' ELSE now() END
               FROM generate_series(1, 20000) AS n, crm_pipelines AS pipeline WHERE pipeline.organization_id = '{own}';
             UPDATE crm_pipeline_stages SET rotting_days = 14 WHERE organization_id = '{own}' AND key = 'negotiation';
             INSERT INTO crm_record_times (organization_id, entity, record_id, in_bin, updated_at, last_activity_at)
             SELECT organization_id, 'deal', id, false, updated_at, updated_at FROM crm_deals WHERE organization_id = '{own}'"
        ))
        .await;
    for table in ["crm_deals", "crm_record_times"] {
        database.execute(&format!("VACUUM (ANALYZE) {table}")).await;
    }
    (database, tenant)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rots_costs_what_is_open_at_most() {
    for (every, found) in [(1_000, 20), (1, 50)] {
        let (database, tenant) = with_deals(every).await;
        let all = Plan::of(&database.db(), &tenant.member, "q_deals", &Condition::default()).await;
        assert!(!all.text().contains("crm_pipeline_stages"), "who does not ask what rots looks no stage up: {}", all.text());
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

/// Proposals rot after 14 days from now on.
async fn with_days_of_proposals(database: &TestDatabase, tenant: &Tenant) {
    let pipelines = PgPipelines::new(database.db());
    let pipeline = pipelines.list(&tenant.viewer).await.expect("a viewer reads").data.remove(0);
    let stage = |stage: &Stage| NewStage {
        key: stage.key.clone(),
        label: stage.label.clone(),
        outcome: stage.outcome,
        probability: Some(stage.probability),
        rotting_days: (stage.key == "proposal").then_some(14),
        forecast_category: stage.forecast_category,
    };
    let changes = PipelineChanges { stages: Some(pipeline.stages.iter().map(stage).collect()), ..PipelineChanges::default() };
    pipelines.update(&tenant.admin, pipeline.id, &Expected::Any, &changes).await.expect("an admin");
}

#[tokio::test(flavor = "multi_thread")]
async fn days_given_while_a_deal_comes_are_its_days() {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    let deals = PgDeals::new(database.db());
    let new = NewDeal { name: "GTX Pro".into(), ..NewDeal::default() };
    let deal = deals.create(&tenant.member, new).await.expect("a member");
    let mut coming = database.admin().await;
    let step = format!("BEGIN; UPDATE crm_deals SET stage = 'proposal' WHERE id = '{}'", deal.id);
    coming.batch_execute(&step).await.expect("it is on its way");
    with_days_of_proposals(&database, &tenant).await;
    coming.batch_execute("COMMIT").await.expect("it has come");
    let seen = deals.get(&tenant.member, deal.id).await.expect("it is there");
    assert!(seen.rots_at.is_some_and(|from| from > Timestamp::now()), "in 14 days: {:?}", seen.rots_at);
}

#[tokio::test(flavor = "multi_thread")]
async fn cards_move_while_days_of_their_stage_are_given() {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    let deals = PgDeals::new(database.db());
    let new = NewDeal { name: "GTX Pro".into(), stage: Some("qualification".into()), ..NewDeal::default() };
    let deal = deals.create(&tenant.member, new).await.expect("a member");
    let mut giving = database.admin().await;
    let days = "BEGIN; UPDATE crm_pipeline_stages SET rotting_days = 14 WHERE key = 'qualification'";
    giving.batch_execute(days).await.expect("days that are not committed");
    let step = StageStep { stage: "proposal".into(), ..StageStep::default() };
    let moved = deals.move_to(&tenant.member, deal.id, &Expected::Any, &step).await.expect("it waits for nobody");
    assert_eq!(moved.stage, "proposal");
    giving.batch_execute("COMMIT").await.expect("days are given");
}
