//! Many changes in one call, requests that are sent again, and records by what other systems call them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod again;
mod by_filter;
mod continued;
mod external_ids;
mod operations;

use biscuit_auth::{UnverifiedBiscuit, builder::BlockBuilder};
use support::Caller;

/// The person's token with one more block.
fn narrowed(person: &Caller, block: BlockBuilder) -> String {
    let token = UnverifiedBiscuit::from_base64(person.token.as_ref().unwrap()).unwrap();
    token.append(block).unwrap().to_base64().unwrap()
}
