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
