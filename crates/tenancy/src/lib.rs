//! Tenancy: organisations, people, sessions and tokens, and the one door to the database.
//!
//! Lives here: [`Db`] and [`Tx`], the mapping of what the database refuses to [`crm_kernel::Error`], identity (passwords,
//! sessions, tokens), organisations with their members and teams, housekeeping, the migrations and the check of the seal at start-up.
//! Does not live here: any noun of the CRM, HTTP, configuration.
//! Must stay true: outside this crate nobody gets a connection, only a `Tx` that is confined to one organisation.

mod begin;
mod caseless;
pub mod connect;
mod counted;
pub mod db;
pub mod expect;
pub mod housekeeping;
pub mod identity;
pub mod import;
pub mod members;
pub mod migrations;
pub mod organizations;
pub mod passwords;
pub mod patch;
mod schema;
pub mod seal;
pub mod sealing;
pub mod seek;
mod standing;
pub mod teams;
pub mod token;
mod tx;

pub use caseless::any_caseless;
pub use counted::Counted;
pub use db::{ConnectOptions, Db, Pool};
pub use expect::{Entity, Expect};
pub use identity::{Identity, PgIdentity};
pub use members::{Member, Members, PgMembers};
pub use organizations::{Organization, Organizations, PgOrganizations};
pub use standing::Standing;
pub use teams::{PgTeams, Teams};
pub use tx::Tx;
