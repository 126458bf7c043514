#![doc = include_str!("../README.md")]

mod bulk;
mod contact_companies;
mod contact_points;
mod fields;
mod lists_store;
mod model;
mod rules;
mod schema;
mod service;
mod store;
pub mod within;

pub use bulk::BulkContacts;
pub use contact_companies::{ContactCompaniesRequest, ContactCompany, ContactCompanyList, NewContactCompany};
pub use contact_points::{ContactPoint, ContactPointKind, ContactPointList, ContactPointsRequest, NewContactPoint};
pub use fields::{FIELDS, VOCABULARY, default_sort};
pub use model::{Contact, ContactChanges, ContactStatus, NewContact};
pub use service::{Contacts, MOST_FURTHER, PgContacts};
