#![doc = include_str!("../README.md")]

mod bulk;
mod fields;
mod model;
mod rules;
mod schema;
mod service;
mod store;
pub mod within;

pub use bulk::BulkContacts;
pub use fields::{FIELDS, VOCABULARY, default_sort};
pub use model::{Contact, ContactChanges, ContactStatus, NewContact};
pub use service::{Contacts, PgContacts};
