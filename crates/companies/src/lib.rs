#![doc = include_str!("../README.md")]

mod bulk;
mod fields;
mod model;
mod schema;
mod service;
mod store;
pub mod within;

pub use bulk::BulkCompanies;
pub use fields::{FIELDS, VOCABULARY, default_sort};
pub use model::{Company, CompanyChanges, CompanySize, CompanyStatus, NewCompany};
pub use service::{Companies, PgCompanies};
