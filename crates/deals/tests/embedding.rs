//! A program of another team, with its own pool and none of the gateway. What the README shows is what runs.

use crm_testkit::TestDatabase;

#[path = "../examples/sales_desk.rs"]
#[allow(dead_code, reason = "its main reads arguments, which a test has not")]
mod sales_desk;

#[tokio::test(flavor = "multi_thread")]
async fn the_example_runs_as_a_member() {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    let told = sales_desk::run(&database.url(), tenant.organization_id, tenant.member.user_id).await.expect("the example runs");
    assert_eq!(
        told,
        [
            "Forty workstations was won: version 3",
            "it stood in prospecting",
            "it stood in closed_won",
            "Forty workstations 48000.00 USD",
            "0.00 USD in 0 open deals",
            "0.00 USD to be expected of them",
        ]
    );
}

#[test]
fn the_readme_shows_the_example_that_runs() {
    let (readme, example) = (include_str!("../README.md"), include_str!("../examples/sales_desk.rs"));
    assert!(readme.contains(&format!("```rust,no_run\n{example}```\n")), "copy examples/sales_desk.rs into the README");
}
