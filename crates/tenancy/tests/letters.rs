//! The queue of letters: nothing is lost, nothing is sent by two at once, and what cannot be sent ends.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::{collections::HashSet, time::Duration};

use crm_tenancy::identity::letters::{Failure, Letters, PgLetters};
use crm_testkit::TestDatabase;

const LEASE: Duration = Duration::from_secs(60);

async fn set_up(letters: u32) -> (TestDatabase, PgLetters) {
    let database = TestDatabase::create().await;
    let queue = PgLetters::new(database.db());
    queue_letters(&database, letters).await;
    (database, queue)
}

async fn queue_letters(database: &TestDatabase, count: u32) {
    let queue = format!(
        "SELECT identity.queue_letter('no_account', 'person' || number || '@example.com', NULL, NULL, NULL, now() + interval '1 day')
           FROM generate_series(1, {count}) AS number"
    );
    database.execute(&queue).await;
}

async fn count(database: &TestDatabase, which: &str) -> i64 {
    database.number(&format!("SELECT count(*) FROM identity.letters WHERE {which}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_claimed_once_and_sent() {
    let (database, queue) = set_up(1).await;
    let claimed = queue.claim(10, LEASE).await.unwrap();
    assert_eq!((claimed.letters.len(), claimed.given_up.len()), (1, 0));
    let letter = &claimed.letters[0];
    assert_eq!((letter.kind.as_str(), letter.recipient.as_str(), letter.attempts), ("no_account", "person1@example.com", 1));
    assert!(queue.claim(10, LEASE).await.unwrap().letters.is_empty(), "it is somebody's already");
    queue.sent(letter.id).await.unwrap();
    database.execute("UPDATE identity.letters SET due_at = now()").await;
    assert!(queue.claim(10, LEASE).await.unwrap().letters.is_empty(), "what was sent is not sent again");
    assert_eq!(count(&database, "sent_at IS NOT NULL").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_claim_at_once_never_get_the_same_letter() {
    let (database, queue) = set_up(200).await;
    let claimers: Vec<_> = (0..8)
        .map(|_| {
            let queue = queue.clone();
            tokio::spawn(async move {
                let mut mine = Vec::new();
                loop {
                    let claimed = queue.claim(7, LEASE).await.unwrap().letters;
                    if claimed.is_empty() {
                        return mine;
                    }
                    mine.extend(claimed.into_iter().map(|letter| letter.id));
                }
            })
        })
        .collect();
    let mut all = Vec::new();
    for claimer in claimers {
        all.extend(claimer.await.unwrap());
    }
    // Whoever met nothing but locked rows stopped early; what is left is claimed now.
    all.extend(queue.claim(1000, LEASE).await.unwrap().letters.into_iter().map(|letter| letter.id));
    assert_eq!(all.len(), 200);
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), 200, "no letter twice");
    assert_eq!(count(&database, "attempts = 1").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_whose_sender_died_is_due_again_after_the_lease() {
    let (database, queue) = set_up(1).await;
    let first = queue.claim(10, LEASE).await.unwrap().letters.remove(0);
    assert!(queue.claim(10, LEASE).await.unwrap().letters.is_empty());
    database.execute("UPDATE identity.letters SET due_at = due_at - interval '60 seconds'").await;
    let again = queue.claim(10, LEASE).await.unwrap().letters.remove(0);
    assert_eq!((again.id, again.attempts), (first.id, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_tried_again_later_each_time_and_ends() {
    let (database, queue) = set_up(1).await;
    database.execute("UPDATE identity.letters SET expires_at = now() + interval '100 days'").await;
    let mut waits = Vec::new();
    for attempt in 1..=12 {
        let letter = queue.claim(10, LEASE).await.unwrap().letters.remove(0);
        assert_eq!(letter.attempts, attempt);
        let gave_up = queue.failed(letter.id, &Failure::Temporary("\0the server is away".repeat(100))).await.unwrap();
        assert_eq!(gave_up, attempt == 12, "twelve times and no more");
        assert!(queue.claim(10, LEASE).await.unwrap().letters.is_empty(), "not at once again");
        let wait = "SELECT extract(epoch FROM due_at - now())::bigint FROM identity.letters";
        waits.push(database.number(wait).await);
        database.execute("UPDATE identity.letters SET due_at = now()").await;
    }
    assert!((6..=23).contains(&waits[0]) && waits[7] > 800 && waits.iter().all(|wait| *wait <= 5400), "{waits:?}");
    assert_eq!(count(&database, "failed_at IS NOT NULL AND length(last_error) = 500").await, 1);
    assert_eq!(queue.claim(10, LEASE).await.unwrap(), Default::default(), "what was given up stays so");
    assert!(
        !queue.failed(uuid(), &Failure::Temporary(String::new())).await.unwrap(),
        "of an unknown letter there is nothing to say"
    );
}

fn uuid() -> uuid::Uuid {
    uuid::Uuid::now_v7()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_will_never_work_or_comes_too_late_is_given_up() {
    let (database, queue) = set_up(3).await;
    let letters = queue.claim(2, LEASE).await.unwrap().letters;
    assert!(queue.failed(letters[0].id, &Failure::Permanent("no such mailbox".into())).await.unwrap());
    database.execute(&format!("UPDATE identity.letters SET attempts = 12, due_at = now() WHERE id = '{}'", letters[1].id)).await;
    database.execute("UPDATE identity.letters SET expires_at = now() WHERE attempts = 0").await;
    let claimed = queue.claim(10, LEASE).await.unwrap();
    assert!(claimed.letters.is_empty());
    let mut reasons: Vec<&str> = claimed.given_up.iter().map(|(_, reason)| reason.as_str()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["it expired before it could be sent", "it was tried too often"]);
    assert_eq!(count(&database, "failed_at IS NOT NULL").await, 3);
    queue_letters(&database, 1).await;
    let soon = queue.claim(10, LEASE).await.unwrap().letters.remove(0);
    database.execute("UPDATE identity.letters SET expires_at = now() + interval '5 seconds' WHERE failed_at IS NULL").await;
    assert!(queue.failed(soon.id, &Failure::Temporary("away".into())).await.unwrap(), "there is no time for another try");
}
