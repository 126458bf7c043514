//! Time zones are judged from memory.

use std::sync::Arc;

use crm_kernel::Error;
use crm_tenancy::{
    ConnectOptions, Db, PgIdentity,
    identity::{
        IdentityOptions,
        accounts::{AccountOptions, Accounts, PgAccounts, Registration},
    },
    token::TokenKey,
};
use crm_testkit::{TestDatabase, refusals::invalid};

use super::{Desk, origin, registration};

/// What a stranger sends is judged before it is counted, so judging it must not cost the database anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_value_of_a_stranger_reaches_no_database() {
    let desk = Desk::new(AccountOptions::default()).await;
    let db = Db::connect("postgres://nobody@127.0.0.1:1/nowhere", ConnectOptions::default()).unwrap();
    let identity = Arc::new(PgIdentity::new(db.clone(), TokenKey::generate(), desk.keys.clone(), IdentityOptions::default()));
    let accounts = PgAccounts::new(db, identity, desk.keys.clone(), AccountOptions::default(), Arc::default());
    for zone in ["Mars/Base", "europe/vienna", "UTC+1", ""] {
        let bad = Registration { time_zone: Some(zone.into()), ..registration("zoe@example.com") };
        invalid(accounts.register(&bad, &origin()).await, "/time_zone", "time_zone_unknown", zone);
    }
    let good = accounts.register(&registration("zoe@example.com"), &origin()).await;
    assert!(matches!(good, Err(Error::Unavailable(_))), "and a good one does: {good:?}");
}

/// Names are judged from memory and stored by the database, which judges them again.
#[tokio::test(flavor = "multi_thread")]
async fn every_zone_that_is_known_is_known_to_the_database() {
    let database = TestDatabase::create().await;
    let stored: Vec<String> = database.texts("SELECT name FROM pg_timezone_names").await;
    let known = crm_kernel::time_zone::names();
    let unknown: Vec<&String> = known.iter().filter(|name| !stored.contains(name)).collect();
    assert!(unknown.is_empty(), "PostgreSQL lacks {unknown:?}");
    let lost: Vec<&String> = stored.iter().filter(|name| !known.contains(name)).collect();
    assert!(lost.len() < 10, "zones of PostgreSQL that nobody can choose: {lost:?}");
}
