#![doc = include_str!("../README.md")]

mod bulk;
mod fields;
mod model;
mod of_deal;
mod overdue;
mod progress;
mod rules;
mod schema;
mod service;
mod store;
pub mod within;
mod words;

pub use bulk::BulkProjects;
pub use fields::{FIELDS, VOCABULARY, default_sort};
pub use model::{NewProject, Project, ProjectChanges};
pub use of_deal::ProjectOfDeal;
pub use progress::ProjectProgress;
pub use service::{PgProjects, Projects};
pub use words::{Priority, ProjectOrigin, ProjectStatus};
