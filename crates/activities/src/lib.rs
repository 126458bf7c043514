#![doc = include_str!("../README.md")]

pub mod audit;
mod fields;
mod model;
mod schema;
mod service;
mod store;
pub mod timeline;

pub use fields::{FIELDS, VOCABULARY, default_sort};
pub use model::Activity;
pub use service::{Activities, PgActivities};
