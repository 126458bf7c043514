#![doc = include_str!("../README.md")]

mod bulk;
mod fields;
mod html;
mod model;
mod rules;
mod schema;
mod service;
mod store;
pub mod within;

pub use bulk::BulkNotes;
pub use fields::{FIELDS, VOCABULARY, default_sort};
pub use html::NoteHtml;
pub use model::{NewNote, Note, NoteChanges, RelatedType};
pub use rules::MOST_MENTIONS;
pub use service::{Notes, PgNotes};
