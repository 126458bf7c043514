//! The filter language through the API: what it finds, what it refuses, what it costs.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod agreement;
mod asking;
mod costs;
mod custom;
mod hops;
mod kept;
mod language;
mod plans;
#[path = "../support/mod.rs"]
mod support;
mod times;
