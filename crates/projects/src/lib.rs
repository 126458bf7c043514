#![doc = include_str!("../README.md")]

mod bulk;
mod fields;
mod model;
mod overdue;
mod progress;
mod rules;
mod schema;
mod service;
mod store;
pub mod within;

pub use bulk::BulkProjects;
pub use fields::{FIELDS, VOCABULARY, default_sort};
pub use model::{NewProject, Priority, Project, ProjectChanges, ProjectOfDeal, ProjectOrigin, ProjectStatus};
pub use progress::ProjectProgress;
pub use service::{PgProjects, Projects};
