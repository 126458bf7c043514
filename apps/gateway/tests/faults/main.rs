//! What happens when something breaks: the database, the disk, the clock, the network, a client.
//!
//! Each test is small here, a few seconds of what `cargo xtask faults` does at length: with `CRM_FAULTS=full` the same tests take more
//! rounds. They say what they counted, each on a line that begins with `fault: `.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod clock;
mod cuts;
mod disk;
mod load;
mod pool;
mod restart;
mod slow;
#[path = "../support/mod.rs"]
mod support;
mod writers;

use crm_testkit::TestDatabase;
use support::process::{Gateway, KeyFile};

/// A gateway as a program of its own on this database.
async fn gateway(database: &TestDatabase, keys: &KeyFile, more: &[(&str, &str)]) -> Gateway {
    let url = database.url();
    let mut environment =
        vec![("CRM_DATABASE_URL", url.as_str()), ("CRM_TOKEN_KEY_FILE", keys.path()), ("CRM_SEALING_KEY_FILE", keys.sealing())];
    environment.extend(more);
    Gateway::start(&environment).await
}
