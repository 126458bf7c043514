//! API tokens: named tokens that programs use instead of a login, limited from their making, revocable at once.
//!
//! Must stay true: a token is shown once, when it is made, and kept nowhere; the database keeps the hash of its first signature
//! and asks for it at every transaction, so a revoked token ends with the next request on every node.

mod model;
mod service;
mod store;
mod uses;

pub use model::{ApiToken, FIELDS, IssuedApiToken, NewApiToken, TokenStatus, default_sort};
pub use service::{ApiTokens, PgApiTokens};
