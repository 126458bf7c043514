//! A program of another team, with its own pool and none of the gateway. What the README shows is what runs.

use crm_testkit::TestDatabase;

#[path = "../examples/spring_letter.rs"]
#[allow(dead_code, reason = "its main reads arguments, which a test has not")]
mod spring_letter;

#[tokio::test(flavor = "multi_thread")]
async fn the_example_runs_as_a_member() {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    // They are the owner's: whoever may change a campaign may say that somebody has unsubscribed from it.
    let (organization, owner) = (tenant.organization_id, tenant.owner.user_id);
    let contacts = format!(
        "INSERT INTO crm_contacts (organization_id, owner_id, created_by_id, first_name, last_name, department, opted_out)
         SELECT '{organization}', '{owner}', '{owner}', 'Contact', n::text,
                CASE WHEN n = 5 THEN 'sales' ELSE 'purchasing' END, n = 4
           FROM generate_series(1, 5) AS n"
    );
    database.execute(&contacts).await;
    let told = spring_letter::run(&database.url(), organization, tenant.member.user_id).await.expect("the example runs");
    assert_eq!(
        told,
        [
            "3 are to get it, 1 opted out",
            "not back: member_status_order",
            "2 of 3 opened it: 0.6667",
            "1 unsubscribed, 0 were won",
            "0.7322 of the budget was spent",
        ]
    );
    let opted_out = "SELECT count(*) FROM crm_contacts WHERE opted_out";
    assert_eq!(database.number(opted_out).await, 2, "who unsubscribed from one campaign gets no other");
}

#[test]
fn the_readme_shows_the_example_that_runs() {
    let (readme, example) = (include_str!("../README.md"), include_str!("../examples/spring_letter.rs"));
    assert!(readme.contains(&format!("```rust,no_run\n{example}```\n")), "copy examples/spring_letter.rs into the README");
}
