//! What the tests share: [`TestDatabase`], one for each test; [`Tenant`], an organisation with people of every role;
//! [`refusals`], which say what a call must be refused with; [`waiting`] for a fact; [`contract`], the suite every noun must pass.
//!
//! A dev-dependency only. It reads the environment and runs SQL as a superuser, which nothing else may.
//! Must stay true: the code under test is connected as the application's role, never as the administrator; waiting is
//! for facts, never for time to pass. Tests need `#[tokio::test(flavor = "multi_thread")]`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "tests fail by panicking, and this crate is a part of them"
)]

pub mod contract;
mod database;
pub mod demo;
mod golden;
pub mod issuer;
mod kept_plans;
mod own_server;
mod plans;
mod questions;
pub mod refusals;
pub mod schemas;
mod server;
mod tenant;
mod trees;
mod verdicts;
pub mod waiting;

pub use database::TestDatabase;
pub use golden::golden;
pub use kept_plans::{KeptPlans, Prepared};
pub use own_server::{Ending, OwnServer};
pub use plans::Plan;
pub use questions::ActivityRow;
pub use tenant::{PASSWORD, Tenant, to};
pub use trees::{KEYS, TEXTS, Trees};
pub use verdicts::verdicts;
