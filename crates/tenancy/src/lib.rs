#![doc = include_str!("../README.md")]

mod begin;
pub mod connect;
mod counted;
pub mod db;
pub mod expect;
pub mod housekeeping;
pub mod identity;
pub mod import;
mod matching;
pub mod members;
pub mod migrations;
pub mod organizations;
pub mod passwords;
pub mod patch;
pub mod provisioning;
mod schema;
pub mod seal;
pub mod sealing;
pub mod seek;
mod standing;
pub mod teams;
pub mod token;
mod tx;

pub use counted::Counted;
pub use db::{ConnectOptions, Db, Pool};
pub use expect::{Entity, Expect};
pub use identity::{Identity, PgIdentity};
pub use matching::Matching;
pub use members::{Member, Members, PgMembers};
pub use organizations::{Organization, Organizations, PgOrganizations};
pub use provisioning::Provisioning;
pub use standing::Standing;
pub use teams::{PgTeams, Teams};
pub use tx::Tx;
