//! External identities: a token of an OpenID provider or of GoTrue becomes a session here.
//!
//! Does not live here: the network ([`KeySource`] is the program's) and files (`ProviderSettings` gets texts).
//! Must stay true: a person is found by issuer and subject, never by an address; what is wrong with a token is never told; the
//! algorithms are the configuration's and the keys the issuer's, never the token's. A token may be shown again until it expires,
//! unless its provider is configured for one use.

mod claims;
mod keys;
mod model;
mod providers;
mod service;
mod store;
#[cfg(test)]
mod tests;
mod tokens;

pub use keys::{Document, KeySource, LARGEST_DOCUMENT};
pub use model::{ExchangeRequest, ExternalIdentity, LinkRequest, UnlinkRequest};
pub use providers::{Provider, Providers};
pub use service::{ExternalIdentities, PgExternalIdentities};
pub(super) use store::find_person;
pub use tokens::{ExternalTokens, Once, VerifiedToken};
