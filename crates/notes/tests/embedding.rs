//! A program of another team, with its own pool and none of the gateway. What the README shows is what runs.

mod parents;

use crm_kernel::CompanyId;
use crm_testkit::TestDatabase;

#[path = "../examples/meeting_minutes.rs"]
#[allow(dead_code, reason = "its main reads arguments, which a test has not")]
mod meeting_minutes;

#[tokio::test(flavor = "multi_thread")]
async fn the_example_runs_as_a_member() {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    let company = CompanyId(parents::company(&database.db(), &tenant.member).await.expect("a company"));
    let (member, colleague) = (tenant.member.user_id, tenant.colleague.user_id);
    let told = meeting_minutes::run(&database.url(), tenant.organization_id, member, company, colleague)
        .await
        .expect("the example runs");
    assert_eq!(
        told,
        [
            "<h2>Pilot at <em>Acme</em></h2>",
            "<ul>",
            "<li>two machines until <strong>May</strong></li>",
            "<li>price list: <a href=\"https://example.com/draft\" rel=\"noopener noreferrer nofollow\">draft</a></li>",
            "</ul>",
            "&lt;script&gt;alert(1)&lt;/script&gt;",
            "pinned: ## Pilot at *Acme*",
            "They called: **June** is as good.",
            "1 for the colleague",
            "which is not theirs to change",
        ]
    );
}

#[test]
fn the_readme_shows_the_example_that_runs() {
    let (readme, example) = (include_str!("../README.md"), include_str!("../examples/meeting_minutes.rs"));
    assert!(readme.contains(&format!("```rust,no_run\n{example}```\n")), "copy examples/meeting_minutes.rs into the README");
}
