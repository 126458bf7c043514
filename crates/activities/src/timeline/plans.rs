//! How the database goes about a timeline in a record that has had 20,000 things happen to it.

use crm_kernel::Timestamp;
use crm_testkit::TestDatabase;
use diesel::{
    QueryResult,
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::Json,
};
use diesel_async::RunQueryDsl;
use serde_json::Value;
use uuid::Uuid;

use super::{
    model::{Names, Subject, TimelineQuestion, question},
    store::Stream,
};

struct Analysed(Stream);

impl Query for Analysed {
    type SqlType = Json;
}

impl QueryId for Analysed {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl QueryFragment<Pg> for Analysed {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.unsafe_to_cache_prepared();
        out.push_sql("EXPLAIN (ANALYZE, BUFFERS false, FORMAT JSON) ");
        self.0.walk_ast(out.reborrow())
    }
}

impl<C> diesel::RunQueryDsl<C> for Analysed {}

/// Rows that were read of the log, and rows that were read for nothing.
fn read(node: &Value) -> (f64, f64) {
    let number = |name: &str| node[name].as_f64().unwrap_or_default();
    let is_log = node["Relation Name"].as_str().is_some_and(|name| name.starts_with("crm_activities"));
    let own = if is_log { number("Actual Rows") * number("Actual Loops") } else { 0.0 };
    let wasted = (number("Rows Removed by Filter") + number("Rows Removed by Index Recheck")) * number("Actual Loops");
    let below = node["Plans"].as_array().into_iter().flatten().map(read);
    below.fold((own, wasted), |sum, part| (sum.0 + part.0, sum.1 + part.1))
}

/// Of each of the kinds a page, of each of the months one row more to merge; first pages and those in the middle alike.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_reads_a_page_of_each_kind_whatever_has_happened() {
    let database = TestDatabase::create().await;
    let acme = database.tenant("Acme").await;
    let (organization, user, deal, task) = (acme.owner.organization_id, acme.owner.user_id, Uuid::now_v7(), Uuid::now_v7());
    let rows = format!(
        "SET session_replication_role = replica;
         CREATE TEMPORARY TABLE happened AS
         SELECT app.uuid7_at(now() - n * interval '1 minute') AS id, now() - n * interval '1 minute' AS moment, n,
                (ARRAY['deal', 'note', 'task', 'deal_contact'])[1 + n % 4] AS entity
           FROM generate_series(1, 20000) AS n;
         INSERT INTO crm_activities (id, organization_id, activity_type, entity_type, entity_id, subject_type, subject_id, user_id,
                actor_kind, occurred_at, created_at, xid, seq)
         SELECT id, '{organization}', 'updated', entity, CASE entity WHEN 'task' THEN '{task}' ELSE '{deal}' END::uuid, 'deal', '{deal}', '{user}', 'user', moment, moment, 1, n FROM happened;
         INSERT INTO crm_activity_details (organization_id, activity_id, created_at, description, changes)
         SELECT '{organization}', id, moment, 'Big Deal', '{{}}' FROM happened;"
    );
    TestDatabase::execute(&database, &rows).await;
    TestDatabase::execute(&database, "ANALYZE crm_activities").await;
    TestDatabase::execute(&database, "ANALYZE crm_activity_details").await;

    let first = TimelineQuestion {
        subject: Subject::Deal,
        id: deal,
        entities: Subject::Deal.shows().to_vec(),
        names: Names::Shown,
        query: question(deal),
    };
    let mut middle = first.clone();
    let week_ago = Timestamp(Timestamp::now().0 - time::Duration::days(7));
    middle.query.after = Some(crm_kernel::Position::new(week_ago.to_string(), deal));
    let mut one_kind = middle.clone();
    one_kind.entities = vec!["external_id"];
    // The task's own 5,000 stand on the page of the deal that it is about.
    let mut of_task =
        TimelineQuestion { subject: Subject::Task, id: task, entities: Subject::Task.shows().to_vec(), ..first.clone() };
    let first_of_task = of_task.clone();
    of_task.query.after.clone_from(&middle.query.after);
    for (name, asked, kinds) in [
        ("first", first, 4.0),
        ("middle", middle, 4.0),
        ("none of this kind", one_kind, 0.0),
        ("first of a task", first_of_task, 1.0),
        ("middle of a task", of_task, 1.0),
    ] {
        let mut tx = database.db().begin(&acme.viewer).await.expect("a transaction");
        let stream = Stream::of(&tx, &asked).expect("a place");
        let plan: Value = Analysed(stream).get_result(&mut tx).await.expect("a plan");
        let (log, wasted) = read(&plan[0]["Plan"]);
        let months = 20.0;
        assert!(log <= kinds * (51.0 + months), "{name}: {log} rows of the log\n{plan:#}");
        assert!(wasted <= 51.0, "{name}: {wasted} for nothing\n{plan:#}");
    }
}
