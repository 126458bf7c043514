//! A program of another team, with its own pool and none of the gateway. What the README shows is what runs.

use std::{path::Path, sync::Arc};

use crm_tenancy::sealing::SealingKeys;
use crm_testkit::TestDatabase;
use tokio::sync::Notify;
use uuid::Uuid;

#[path = "../examples/postman.rs"]
#[allow(dead_code, reason = "its main reads arguments, which a test has not")]
mod postman;

#[tokio::test(flavor = "multi_thread")]
async fn the_example_takes_each_letter_to_where_it_belongs_once() {
    let database = TestDatabase::create().await;
    let queue = "SELECT identity.queue_letter('no_account', 'somebody@example.com', NULL, NULL, NULL, now() + interval '1 day')";
    database.execute(queue).await;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("postman-{}", Uuid::now_v7()));
    let keys = SealingKeys::generate().expect("keys");
    let route = format!("mailbox:{}", folder.display());
    let postman = postman::postman(&database.url(), keys, &route, Arc::new(Notify::new())).await.expect("the example runs");

    assert_eq!(postman.deliver_due().await.expect("the queue is read"), 1);
    assert_eq!(postman.deliver_due().await.expect("the queue is read"), 0, "once");
    let letters: Vec<_> = std::fs::read_dir(&folder).expect("a mailbox").filter_map(Result::ok).collect();
    assert_eq!(letters.len(), 1);
    let letter = std::fs::read_to_string(letters.first().expect("a letter").path()).expect("a text");
    assert!(letter.contains("To: somebody@example.com") && letter.contains("From: "), "{letter}");
    std::fs::remove_dir_all(folder).expect("it can go");
}

#[test]
fn the_readme_shows_the_example_that_runs() {
    let (readme, example) = (include_str!("../README.md"), include_str!("../examples/postman.rs"));
    assert!(readme.contains(&format!("```rust,no_run\n{example}```\n")), "copy examples/postman.rs into the README");
}
