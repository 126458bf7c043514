//! A program of another team, with its own pool and none of the gateway. What the README shows is what runs.

mod companies;

use crm_activities::Activity;
use crm_testkit::{Tenant, TestDatabase};
use diesel::ExpressionMethods;

use crate::{
    companies::{create, crm_companies, rename},
    log_follower::Follower,
};

#[path = "../examples/log_follower.rs"]
#[allow(dead_code, reason = "its main reads arguments, which a test has not")]
mod log_follower;

async fn follower(database: &TestDatabase, tenant: &Tenant, bookmark: Option<String>) -> Follower {
    let url = database.url();
    let started = Follower::start(&url, tenant.organization_id, tenant.viewer.user_id, bookmark);
    started.await.expect("the example runs")
}

/// What happened to companies; the people of a tenant are in the log too.
fn of_companies(news: Vec<Activity>) -> Vec<String> {
    let companies = news.into_iter().filter(|activity| activity.entity_type == "company");
    companies.map(|activity| format!("{} {}", activity.activity_type, activity.description.unwrap_or_default())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_tells_what_has_happened_and_what_happens() {
    let database = TestDatabase::create().await;
    let (tenant, stranger) = (database.tenant("Acme").await, database.tenant("Umbrella").await);
    let db = database.db();
    let company = create(&db, &tenant.member, "Hooli").await;
    create(&db, &stranger.member, "Somebody else's").await;
    let mut follower = follower(&database, &tenant, None).await;
    let history = follower.history_of(company).await.expect("a timeline");
    assert_eq!(history, ["member created Hooli"]);

    assert_eq!(of_companies(follower.news().await.expect("the log")), ["created Hooli"]);
    rename(&db, &tenant.member, company, "Hooli XYZ").await;
    rename(&db, &tenant.member, company, "Hooli").await;
    assert_eq!(of_companies(follower.news().await.expect("the log")), ["updated Hooli XYZ", "updated Hooli"]);
    assert_eq!(follower.news().await.expect("the log").len(), 0, "each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_began_to_be_written_earlier_and_ended_later_is_told_too() {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    let db = database.db();
    let mut follower = follower(&database, &tenant, None).await;
    let mut slow = db.begin(&tenant.member).await.expect("a transaction");
    let values = (crm_companies::name.eq("Slow"), crm_companies::slug.eq("slow"));
    let insert = diesel::insert_into(crm_companies::table).values(values);
    diesel_async::RunQueryDsl::execute(insert, &mut slow).await.expect("a company");
    create(&db, &tenant.member, "Quick").await;
    assert_eq!(of_companies(follower.news().await.expect("the log")), ["created Quick"]);
    slow.commit().await.expect("a commit");
    assert_eq!(of_companies(follower.news().await.expect("the log")), ["created Slow"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_started_again_goes_on_behind_its_bookmark() {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    create(&database.db(), &tenant.member, "Old").await;
    // As it is when the program has run for a while: what was recorded first is an hour old.
    let aged = "WITH aged AS MATERIALIZED (
                    SELECT id AS old, app.uuid7_at(created_at - interval '1 hour') AS new FROM crm_activities),
                details AS (UPDATE crm_activity_details SET activity_id = aged.new FROM aged WHERE activity_id = aged.old)
                UPDATE crm_activities SET id = aged.new FROM aged WHERE id = aged.old";
    database.execute(aged).await;
    let mut first = follower(&database, &tenant, None).await;
    assert_eq!(of_companies(first.news().await.expect("the log")), ["created Old"]);
    assert!(first.bookmark.is_some());
    let mut second = follower(&database, &tenant, first.bookmark).await;
    assert_eq!(second.news().await.expect("the log").len(), 0, "what was settled is not told again");
    create(&database.db(), &tenant.member, "New").await;
    assert_eq!(of_companies(second.news().await.expect("the log")), ["created New"]);
}

#[test]
fn the_readme_shows_the_example_that_runs() {
    let (readme, example) = (include_str!("../README.md"), include_str!("../examples/log_follower.rs"));
    assert!(readme.contains(&format!("```rust,no_run\n{example}```\n")), "copy examples/log_follower.rs into the README");
}
