#![doc = include_str!("../README.md")]

mod fields;
mod model;
mod schema;
mod service;
mod store;
pub mod within;

pub use fields::{FIELDS, VOCABULARY, default_sort};
pub use model::{Company, CompanyChanges, CompanySize, CompanyStatus, NewCompany};
pub use service::{Companies, PgCompanies};
