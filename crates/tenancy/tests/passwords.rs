//! Hashing is bounded: whoever comes when the queue is full is told to come back, and the others are served.
#![allow(clippy::panic, reason = "tests fail by panicking")]

use std::net::IpAddr;

use crm_kernel::{Error, UserId};
use crm_tenancy::passwords::{self, Place, Subject};
use tokio::sync::Mutex;

/// The queue is one for the process: one test at a time.
static ALONE: Mutex<()> = Mutex::const_new(());

fn is_limited<T>(answer: &crm_kernel::Result<T>) -> bool {
    matches!(answer, Err(Error::Limited { retry_after_seconds }) if *retry_after_seconds > 0)
}

fn address(number: u8) -> Option<IpAddr> {
    Some(IpAddr::from([198, 51, 100, number]))
}

/// Places until there are no more.
fn taken(subject: impl Fn(usize) -> Vec<Subject>) -> Vec<Place> {
    (0..200).map_while(|number| passwords::queue(subject(number)).ok()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_account_or_address_has_a_share_of_the_queue_and_not_all_of_it() {
    let _alone = ALONE.lock().await;
    let at = Subject::account_at("one@example.com", address(1));
    let places = taken(|_| vec![Subject::address(address(1)), at]);
    assert_eq!(places.len(), 4, "of one account at one address");
    assert!(is_limited(&passwords::queue([Subject::account_at(" One@Example.COM ", address(1))])), "in every spelling");
    let elsewhere = passwords::queue([Subject::account_at("one@example.com", address(2))]).expect("its owner, elsewhere");
    let account = Subject::account("one@example.com");
    let mut tried = places.into_iter().chain([elsewhere]).map(|place| place.shared(account)).collect::<Vec<_>>();
    assert!(is_limited(&tried.pop().expect("five")), "four of an account at work, wherever they come from");
    assert!(tried.iter().all(Result::is_ok));

    let rest =
        taken(|number| vec![Subject::address(address(1)), Subject::account_at(&format!("{number}@example.com"), address(1))]);
    assert_eq!(rest.len(), 32 - 4, "of one address");
    let neighbour = Some("2001:db8::1".parse().expect("an address"));
    passwords::queue([Subject::address(neighbour), Subject::account_at("two@example.com", neighbour)]).expect("another person");
    let user = UserId::generate();
    assert_eq!(taken(|_| vec![Subject::person(user)]).len(), 4, "of a person who is in");
    passwords::queue([]).expect("there are places left");

    drop((tried, rest));
    assert_eq!(taken(|_| vec![at]).len(), 4, "a share is free again with its places");
    // Whoever is turned away for one share keeps nothing of another.
    let full = taken(|_| vec![account]);
    (0..50).for_each(|_| assert!(is_limited(&passwords::queue([Subject::address(address(9)), account]))));
    drop(full);
    assert_eq!(taken(|_| vec![Subject::address(address(9))]).len(), 32);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_a_refusal_with_a_time_to_come_back() {
    let _alone = ALONE.lock().await;
    let hashes: Vec<_> = (0..200).map(|_| tokio::spawn(passwords::hash("secret".to_owned()))).collect();
    let (mut served, mut limited) = (0, 0);
    for hash in hashes {
        match hash.await.expect("the task ends") {
            Ok(_) => served += 1,
            Err(Error::Limited { retry_after_seconds }) if retry_after_seconds > 0 => limited += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(served >= 128, "all who had a place were served: {served}");
    assert!(limited > 0, "two hundred at once are too many");
    assert!(passwords::hash("secret".to_owned()).await.is_ok(), "the queue is open again");
}
