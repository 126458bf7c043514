//! A program of another team, with its own pool and none of the gateway. What the README shows is what runs.

use crm_testkit::TestDatabase;

#[path = "../examples/book_of_companies.rs"]
#[allow(dead_code, reason = "its main reads arguments, which a test has not")]
mod book_of_companies;

#[tokio::test(flavor = "multi_thread")]
async fn the_example_runs_as_a_member() {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    let told =
        book_of_companies::run(&database.url(), tenant.organization_id, tenant.member.user_id).await.expect("the example runs");
    assert_eq!(told, ["Acme Corporation lives at /acme-corporation", "a customer: Acme Corporation of version 2"]);
}

#[test]
fn the_readme_shows_the_example_that_runs() {
    let (readme, example) = (include_str!("../README.md"), include_str!("../examples/book_of_companies.rs"));
    assert!(readme.contains(&format!("```rust,no_run\n{example}```\n")), "copy examples/book_of_companies.rs into the README");
}
