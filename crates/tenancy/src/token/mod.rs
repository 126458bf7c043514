//! Access tokens and API tokens: biscuits that carry user, organisation, role, environment and what proves them: a session or an
//! entry in the list of API tokens.
//!
//! Lives here: the keys that sign and verify ([`KeyRing`]), what a token says ([`Claims`]), and the one place where a token is
//! judged ([`Policy::decide`]). Does not live here: what an operation takes, which is the gateway's policy.
//! Must stay true: facts are read from the authority block alone, so a role forged in a later block gains nothing; a token of
//! another environment or of a key that is not in the ring is no token; a limit that trips is our trouble (503), never a refusal
//! (403).

mod attenuation;
mod claims;
mod keys;
mod policy;

pub use claims::{Claims, IssuedToken, Limits, Proof};
pub use keys::{Environment, KeyRing, KeyState, ListedKey, TokenKey};
pub use policy::{Decision, Policy, Reach, Use, Verdict};
