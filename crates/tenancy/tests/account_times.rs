//! Whether an address has an account is not told by how long the answer takes.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use crm_tenancy::{
    PgIdentity,
    identity::{
        IdentityOptions, Origin,
        accounts::{AccountOptions, Accounts, ForgottenPassword, PgAccounts, Registration},
    },
    sealing::SealingKeys,
    token::TokenKey,
};
use crm_testkit::TestDatabase;
use tokio::sync::Notify;

const TRIES: usize = 200;

/// How often a time of the one side is longer than one of the other: a half when they are alike. With 200 tries of each, chance alone
/// moves it by 0.03; what is off by four times that is a difference.
fn likelihood_of_longer(one: &[Duration], other: &[Duration]) -> f64 {
    let longer = one.iter().map(|time| other.iter().filter(|compared| time > *compared).count()).sum::<usize>();
    f64::from(u32::try_from(longer).unwrap()) / f64::from(u32::try_from(one.len() * other.len()).unwrap())
}

fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    *sorted.get(sorted.len() / 2).unwrap()
}

/// Tries both kinds in turns, so that whatever else happens on the machine happens to both.
async fn compare(what: &str, call: impl AsyncFn(String)) {
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for number in 0..TRIES {
        let pair = [("known", &mut known), ("unknown", &mut unknown)];
        // Who goes first changes, too.
        let order: Vec<_> = if number % 2 == 0 { pair.into_iter().collect() } else { pair.into_iter().rev().collect() };
        for (kind, times) in order {
            let began = Instant::now();
            call(format!("{kind}{number}@example.com")).await;
            times.push(began.elapsed());
        }
    }
    let likelihood = likelihood_of_longer(&known, &unknown);
    let told = format!("{what}: known {:?}, unknown {:?}, likelihood {likelihood:.3}", median(&known), median(&unknown));
    assert!((likelihood - 0.5).abs() < 0.12, "{told}");
    let (shorter, longer) = (median(&known).min(median(&unknown)), median(&known).max(median(&unknown)));
    assert!(longer < shorter.mul_f64(1.25), "{told}");
}

/// An address of its own for each try: so many from one are turned away.
fn elsewhere(email: &str) -> Origin {
    let digits: String = email.chars().filter(char::is_ascii_digit).collect();
    let network = if email.starts_with("known") { 1 } else { 2 };
    Origin { ip: Some(IpAddr::from([10, 0, network, digits.parse().unwrap()])), ..Origin::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_tries_of_each_kind_take_the_same_time() {
    let database = TestDatabase::create().await;
    database
        .execute(
            "INSERT INTO users (email, full_name) SELECT 'known' || number || '@example.com', 'Somebody' FROM generate_series(0, 199) AS number;
             ANALYZE users",
        )
        .await;
    let identity = Arc::new(PgIdentity::new(
        database.db(),
        TokenKey::generate(),
        SealingKeys::generate().unwrap(),
        IdentityOptions::default(),
    ));
    let (keys, queued) = (SealingKeys::generate().unwrap(), Arc::new(Notify::new()));
    let accounts = PgAccounts::new(database.db(), identity, keys, AccountOptions::default(), queued);
    accounts.forget_password(&ForgottenPassword { email: "warm@example.com".into() }, &Origin::default()).await.unwrap();
    compare("forgotten password", async |email| {
        let origin = elsewhere(&email);
        accounts.forget_password(&ForgottenPassword { email }, &origin).await.unwrap();
    })
    .await;
    compare("sign-up", async |email| {
        let origin = elsewhere(&email);
        let registration = Registration {
            email,
            password: "a password of my own".into(),
            full_name: "Somebody".into(),
            organization_name: "Acme".into(),
            slug: None,
            time_zone: None,
            country: None,
            default_currency: None,
            locale: None,
        };
        accounts.register(&registration, &origin).await.unwrap();
    })
    .await;
    let letters = database.number("SELECT count(*) FROM identity.letters").await;
    assert_eq!(letters, 801, "each try caused one letter");
}
