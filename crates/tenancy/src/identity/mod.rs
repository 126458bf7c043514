//! Identity: who someone is, proved by a password or a refresh token, and the sessions that follow.
//!
//! Must stay true: passwords and refresh tokens are stored as hashes only and never logged; the answer to a wrong
//! password and to an unknown account is the same, and takes as long; a refresh token works once, and using it again
//! ends the whole session.

pub mod accounts;
pub mod api_tokens;
pub mod external;
pub mod invitations;
pub mod letters;
mod model;
pub(crate) mod password_proof;
mod password_rules;
pub mod second_factor;
mod secrets;
mod service;
pub mod service_users;
pub mod sessions;
mod store;
pub mod throttle;

pub use model::{Credentials, Me, OrganizationRole, Origin, Person, SwitchRequest, Tokens};
pub use password_rules::judge_password;
pub use secrets::link_token;
pub use service::{Identity, IdentityOptions, PgIdentity};
