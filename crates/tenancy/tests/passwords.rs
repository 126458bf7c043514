//! Hashing is bounded: whoever comes when the queue is full is told to come back, and the others are served.
#![allow(clippy::panic, reason = "tests fail by panicking")]

use crm_kernel::Error;
use crm_tenancy::passwords;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_a_refusal_with_a_time_to_come_back() {
    let hashes: Vec<_> = (0..200).map(|_| tokio::spawn(passwords::hash("secret".to_owned()))).collect();
    let (mut served, mut limited) = (0, 0);
    for hash in hashes {
        match hash.await.expect("the task ends") {
            Ok(_) => served += 1,
            Err(Error::Limited { retry_after_seconds }) if retry_after_seconds > 0 => limited += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(served >= 64, "all who had a place were served: {served}");
    assert!(limited > 0, "two hundred at once are too many");
    assert!(passwords::hash("secret".to_owned()).await.is_ok(), "the queue is open again");
}
