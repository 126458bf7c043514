//! A program of another team, with its own pool and none of the gateway. What the README shows is what runs.

mod parents;

use crm_kernel::CompanyId;
use crm_testkit::TestDatabase;

#[path = "../examples/week_of_calls.rs"]
#[allow(dead_code, reason = "its main reads arguments, which a test has not")]
mod week_of_calls;

#[tokio::test(flavor = "multi_thread")]
async fn the_example_runs_as_a_member() {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    let company = CompanyId(parents::company(&database.db(), &tenant.member).await.expect("a company"));
    let told = week_of_calls::run(&database.url(), tenant.organization_id, tenant.member.user_id, company)
        .await
        .expect("the example runs");

    let next = "SELECT to_char(due_date AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')
                  FROM crm_tasks WHERE deleted_at IS NOT NULL AND extract(isodow FROM due_date AT TIME ZONE 'UTC') = 1
                   AND due_date AT TIME ZONE 'UTC' >= date_trunc('day', now() AT TIME ZONE 'UTC')";
    let [due] = <[String; 1]>::try_from(database.texts(next).await).expect("the next call is on a Monday, and lies in the bin");
    assert!(due.ends_with("T09:00:00Z"), "nine stays nine: {due}");
    let (call, desk) = told.split_first().expect("it tells something");
    assert_eq!(*call, format!("completed: Ask how the pilot goes on {due}"));
    // On a Monday before nine the next call is for today.
    assert_eq!(desk.first().map(String::as_str), Some("overdue: Send the price list"));
    assert_eq!(desk.len(), 2, "{desk:?}");
    assert!(desk.iter().any(|line| line.ends_with(": Ask how the pilot goes")), "{desk:?}");
}

#[test]
fn the_readme_shows_the_example_that_runs() {
    let (readme, example) = (include_str!("../README.md"), include_str!("../examples/week_of_calls.rs"));
    assert!(readme.contains(&format!("```rust,no_run\n{example}```\n")), "copy examples/week_of_calls.rs into the README");
}
