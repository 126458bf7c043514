//! A program of another team, with its own pool and none of the gateway. What the README shows is what runs.

mod parents;

use crm_testkit::TestDatabase;

#[path = "../examples/handover.rs"]
#[allow(dead_code, reason = "its main reads arguments, which a test has not")]
mod handover;

#[tokio::test(flavor = "multi_thread")]
async fn the_example_runs_as_a_member() {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    let (db, member) = (database.db(), &tenant.member);
    let company = parents::company(&db, member).await.expect("a company");
    let deal = parents::deal(&db, member, "closed_won", Some(company)).await.expect("a deal");
    let told = handover::run(&database.url(), tenant.organization_id, member.user_id, deal).await.expect("the example runs");
    assert_eq!(
        told,
        [
            "Forty workstations came of the deal (won_deal)",
            "not twice: unique",
            "in_progress: 31 % of its hours, 0 tasks",
            "Forty workstations is completed",
            "late: The old machines go (high)",
        ]
    );
}

#[test]
fn the_readme_shows_the_example_that_runs() {
    let (readme, example) = (include_str!("../README.md"), include_str!("../examples/handover.rs"));
    assert!(readme.contains(&format!("```rust,no_run\n{example}```\n")), "copy examples/handover.rs into the README");
}
