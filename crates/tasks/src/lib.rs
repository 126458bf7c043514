#![doc = include_str!("../README.md")]

mod bulk;
mod fields;
mod model;
mod my_tasks;
mod recurrence;
mod rules;
mod schema;
mod series_store;
mod service;
mod store;
pub mod within;

pub use bulk::BulkTasks;
pub use fields::{FIELDS, VOCABULARY, default_sort};
pub use model::{NewTask, Priority, RelatedType, Task, TaskChanges, TaskStatus, TaskType};
pub use my_tasks::{MyTasks, MyTasksPart};
pub use service::{PgTasks, Tasks};
